"""The list of conversations filtered, searched and paged by a program; usage by the day; releases for engineers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts import api_keys
from accounts.models import User
from billing.models import Plan
from chat.models import Conversation, Folder
from config import roles
from feedback.models import Release
from tests import factories, signing_in

pytestmark = pytest.mark.django_db


def program_of(user: User, *scopes: str) -> Client:
    Plan.objects.filter(key="free").update(has_api_access=True)
    _key, text = api_keys.create(user=user, name="program", scopes=list(scopes), now=timezone.now())
    return Client(headers={"Authorization": f"Bearer {text}"})


@pytest.fixture
def ann() -> User:
    return signing_in.person("ann@example.org")


def titles(program: Client, query: str) -> list[str]:
    return [row["title"] for row in program.get(f"/api/conversations?{query}").json()["results"]]


def test_filters_narrow_the_list_together(ann: User) -> None:
    now = timezone.now()
    folder = Folder.objects.create(user=ann, name="work")
    rows = [("plain", {}), ("put away", {"archived_at": now}), ("pinned", {"pinned_at": now}),
            ("filed", {"folder": folder}), ("secret", {"is_temporary": True})]  # fmt: skip
    for title, more in rows:
        Conversation.objects.create(user=ann, title=title, **more)
    Conversation.objects.filter(title="plain").update(updated_at=now - timedelta(days=9))
    program = program_of(ann, "chat")
    assert set(titles(program, "")) == {"plain", "pinned", "filed"}
    assert titles(program, "archived=true") == ["put away"]
    assert titles(program, "pinned=true") == ["pinned"]
    assert titles(program, f"folder={folder.pk}") == ["filed"]
    since = (now - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert set(titles(program, f"updated_after={since}&pinned=false")) == {"filed"}
    wrong = program.get("/api/conversations?folder=nonsense")
    assert (wrong.status_code, list(wrong.json()["error"]["fields"])) == (400, ["folder"])


def test_pages_hold_each_row_once_while_rows_are_added(ann: User) -> None:
    Conversation.objects.bulk_create(Conversation(user=ann, title=str(number)) for number in range(60))
    program = program_of(ann, "chat")
    first = program.get("/api/conversations").json()
    Conversation.objects.create(user=ann, title="new")
    second = program.get(first["next"]).json()
    found = [row["title"] for row in first["results"] + second["results"]]
    assert sorted(found, key=int) == [str(number) for number in range(60)]
    assert second["next"] is None


def test_search_finds_own_words_alone_in_either_language(ann: User) -> None:
    factories.conversation(ann, ("Where is the marmalade?", "在冰箱里，蓝色的盒子后面。"))
    factories.conversation(factories.UserFactory(), ("My marmalade", "Yours."))
    program = program_of(ann, "chat")
    [hit] = program.get("/api/search?q=marmalade").json()["results"]
    assert "<mark>marmalade</mark>" in hit["excerpt_html"]
    assert len(program.get("/api/search?q=蓝色").json()["results"]) == 1
    assert program.get("/api/search?q=").status_code == 400


def test_search_goes_on_from_page_to_page_titles_first_and_each_hit_once(ann: User) -> None:
    for number in range(3):
        reply = factories.conversation(ann, (f"marmalade {number}", "More marmalade."), ("And jam?", "No marmalade."))
        Conversation.objects.filter(pk=reply.conversation_id).update(title=f"Marmalade {number}")
    program, url, pages = program_of(ann, "chat"), "/api/search?q=marmalade&limit=5", []
    while url:
        page = program.get(url).json()
        pages.append(page["results"])
        url = page["next"]
    assert [len(page) for page in pages] == [5, 5, 2]
    hits = [(hit["conversation"], hit["message"]) for page in pages for hit in page]
    assert len(set(hits)) == 12
    assert [message is None for _conversation, message in hits] == [True] * 3 + [False] * 9
    assert program.get("/api/search?q=marmalade&cursor=made-up").status_code == 404


def test_usage_by_the_day_has_every_day(ann: User) -> None:
    days = program_of(ann, "usage").get("/api/usage/days?count=7").json()["results"]
    assert len(days) == 7
    assert days[-1] == {"day": f"{timezone.now():%Y-%m-%d}", "messages": 0, "prompt_tokens": 0, "completion_tokens": 0}
    assert program_of(ann, "chat").get("/api/usage/days").status_code == 403


def test_releases_are_for_engineers_with_a_key_of_that_scope(ann: User) -> None:
    release = Release.objects.create(version=1, state="cancelled", finished_at=timezone.now())
    program = program_of(ann, "releases")
    assert program.get("/api/releases").json()["error"]["code"] == "may_not_release"
    roles.ensure()
    ann.groups.set([Group.objects.get(name="reviewer")])
    assert program.get("/api/releases").status_code == 403
    ann.groups.set([Group.objects.get(name="engineer")])
    [row] = program.get("/api/releases").json()["results"]
    assert (row["id"], row["version"]) == (str(release.pk), 1)
    tomorrow = f"{timezone.now() + timedelta(days=1):%Y-%m-%d}"
    for narrowed, count in (("state=cancelled", 1), ("state=sealed", 0), (f"created_after={tomorrow}T00:00Z", 0)):
        assert len(program.get(f"/api/releases?{narrowed}").json()["results"]) == count, narrowed
    assert "state" in program.get("/api/releases?state=lost").json()["error"]["fields"]
    assert program.get(f"/api/releases/{release.pk}").json()["files"] == []
    assert program_of(ann, "ratings").get("/api/releases").status_code == 403
