"""Releases: who is in, what the files are, and that the trainers people use take them as they are."""

import hashlib
import html
import json
import uuid
from types import SimpleNamespace

import pytest
from datasets import load_dataset
from django.core import signing
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import consent
from accounts.models import User
from feedback import capture, releasing
from feedback.models import Rating, Release
from feedback.release import building, downloads, store, verify
from feedback.release.freezing import NothingToRelease
from feedback.release.specification import Specification
from tests import factories, reviewing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]


@pytest.fixture
def reviewer():
    return User.objects.create_superuser("reviewer@example.org", "a long and rare passphrase")


def rated(reply, value, reviewer, *, ideal="", verdict="approved"):
    rating = capture.rate(
        user=reply.conversation.user, message=reply, value=value, client_event_id=uuid.uuid4(), now=timezone.now()
    )
    if verdict:
        reviewing.decide(rating_id=rating.pk, reviewer=reviewer, verdict=verdict, ideal_text=ideal, now=timezone.now())
    return rating


def some_ratings(reviewer, people=6):
    """Each person prefers one of two replies, and one reply is corrected."""
    for number in range(people):
        user = factories.consenting_user()
        good = factories.conversation(user, ("Hi", "Hello."), (f"Name colour {number}.", f"Blue {number}."))
        bad = factories.reply_to(good.parent, f"I cannot {number}.")
        rated(good, 1, reviewer)
        rated(bad, -1, reviewer, ideal=f"Green, like grass {number}.")


def frozen(**choices):
    return releasing.make_release(specification=Specification(**choices), made_by=None, now=timezone.now()).release


def sealed(**choices):
    return building.work_off(frozen(**choices).pk)


def test_a_release_holds_pairs_labels_and_demonstrations(reviewer):
    some_ratings(reviewer)
    release = sealed()
    assert release.state == "sealed"
    counts = release.counts
    assert (counts["rows: preference"], counts["rows: unpaired"], counts["rows: sft"]) == (12, 12, 12)
    assert verify.problems(release) == []
    rows = [row for split in load_dataset(store.location(release.folder), "preference").values() for row in split]
    pair = next(row for row in rows if row["metadata"]["rule"] == "up_vs_down")
    assert [message["role"] for message in pair["prompt"]] == ["system", "user", "assistant", "user"]
    assert pair["chosen"][0]["content"].startswith("Blue")
    assert pair["rejected"][0]["content"].startswith("I cannot")


@pytest.mark.parametrize("why", ["no consent", "withdrawn", "rejected", "not reviewed", "deleted"])
def test_what_may_not_be_used_is_left_out_and_counted(reviewer, why):
    user = factories.UserFactory() if why == "no consent" else factories.consenting_user()
    reply = factories.conversation(user, ("Hi", "Hello."))
    verdict = {"rejected": "rejected", "not reviewed": ""}.get(why, "approved")
    rated(reply, 1, reviewer, verdict=verdict)
    if why == "withdrawn":
        consent.withdraw(user, now=timezone.now())
    if why == "deleted":
        reply.conversation.deleted_at = timezone.now()
        reply.conversation.save()
    with pytest.raises(NothingToRelease) as nothing:
        sealed()
    dropped = {step: count for step, count in nothing.value.funnel.items() if step.startswith("left out")}
    assert list(dropped.values()) == [1]
    assert not Release.objects.exists()


def test_the_same_specification_over_the_same_ratings_is_the_same_release(reviewer):
    some_ratings(reviewer, 2)
    first = sealed()
    assert sealed() == first
    assert sealed(test_share=0.2).version == 2


def sums(release):
    files = verify.manifest_of(release)["files"]
    return {file["path"]: file["sha256"] for file in files if "/" in file["path"]}


def test_the_same_ratings_give_the_same_bytes(reviewer):
    some_ratings(reviewer)
    first = sealed()
    Release.objects.filter(pk=first.pk).update(specification_sha256="another")
    second = sealed()
    assert first != second
    assert sums(first) == sums(second)


def test_two_first_releases_of_different_content_are_never_mixed_up(reviewer, settings, tmp_path):
    """`datasets` caches by folder name: a second install's first release must not be answered with the first's."""
    some_ratings(reviewer, 2)
    first = load_dataset(store.location(sealed().folder), "unpaired")
    Release.objects.all().delete()
    settings.STORAGE_URL = (tmp_path / "elsewhere").as_uri()
    store._filesystem.cache_clear()
    some_ratings(reviewer, 3)
    release = sealed()
    second = load_dataset(store.location(release.folder), "unpaired")
    assert release.version == 1
    assert sum(split.num_rows for split in second.values()) > sum(split.num_rows for split in first.values())


def test_building_twice_changes_nothing(reviewer):
    some_ratings(reviewer, 2)
    release = sealed()
    before = store.read(f"{release.folder}/manifest.json")
    building.work(release.pk)
    assert store.read(f"{release.folder}/manifest.json") == before


def test_a_build_that_was_cut_off_is_made_whole_and_cleared_of_halves(reviewer):
    some_ratings(reviewer, 2)
    release = frozen()
    while not release.chunks.filter(stage="files").exists():
        building._take(building._claim(release.pk, now=timezone.now()), timezone.now)
    release.refresh_from_db()
    store.write(f"{release.folder}/preference/train-00000-of-00001.parquet", b"half")
    store.write(f"{release.folder}/preference/.unfinished-1-train", b"half")
    assert verify.problems(building.work_off(release.pk)) == []


def test_a_changed_file_is_noticed(reviewer):
    some_ratings(reviewer, 2)
    release = sealed()
    store.write(f"{release.folder}/README.md", b"other words")
    assert verify.problems(release) == ["README.md was changed"]


def test_checksums_are_in_the_form_that_sha256sum_reads(reviewer, storage):
    some_ratings(reviewer, 2)
    release = sealed()
    for line in store.read(f"{release.folder}/SHA256SUMS").decode().splitlines():
        digest, path = line.split("  ")
        assert hashlib.sha256(store.read(f"{release.folder}/{path}")).hexdigest() == digest


def test_all_rows_of_a_person_are_in_one_split(reviewer):
    some_ratings(reviewer, 30)
    release = sealed()
    splits = {}
    for row in release.rows.all():
        splits.setdefault(row.user_id, set()).add(row.split)  # whatever the config
    assert all(len(split) == 1 for split in splits.values())


def test_no_row_names_a_person_or_quotes_a_comment(reviewer):
    user = factories.consenting_user()
    reply = factories.conversation(user, ("Hi", "Hello."))
    capture.rate(user=user, message=reply, value=1, comment="SECRET", client_event_id=uuid.uuid4(), now=timezone.now())
    reviewing.decide(rating_id=Rating.objects.get().pk, reviewer=reviewer, verdict="approved", now=timezone.now())
    release = sealed()
    text = json.dumps(
        [row for split in load_dataset(store.location(release.folder), "unpaired").values() for row in split]
    )
    assert "SECRET" not in text
    assert user.email not in text
    assert str(user.pk) not in text


def test_export_without_ratings_says_so_and_makes_nothing(reviewer):
    client = Client()
    client.force_login(reviewer)
    page = client.post(reverse("make-release"), follow=True)
    assert "There is nothing to export yet" in page.content.decode()
    assert not Release.objects.exists()
    with pytest.raises(CommandError, match="nothing to release"):
        call_command("release", "make")


def test_the_page_takes_the_choices_that_the_api_takes(reviewer):
    some_ratings(reviewer, 2)
    client = Client()
    client.force_login(reviewer)

    def make(wish, **more):
        return client.post(reverse("make-release"), {"specification": wish, **more})

    for wrong, why in (("{", "Expecting property name"), ('{"colour": 1}', "unknown settings"), ("[]", "an object")):
        answer = make(wrong)
        assert answer.status_code == 400
        page = html.unescape(answer.content.decode())
        assert why in page
        assert f">{wrong}</textarea>" in page
    assert not Release.objects.exists()
    assert make('{"configs": ["preference"], "test_share": 0.0}').status_code == 302
    assert make("", dry_run="1").status_code == 302
    made, counted = Release.objects.get(is_dry_run=False), Release.objects.get(is_dry_run=True)
    assert (made.specification["configs"], made.specification["test_share"]) == (["preference"], 0.0)
    assert counted.specification == Specification().as_json()


def test_the_page_holds_files_against_the_manifest_and_says_what_changed(reviewer, client):
    some_ratings(reviewer, 2)
    whole = {"test_share": 0.0, "validation_share": 0.0}
    old = sealed(**whole)
    page = reverse("release", args=[old.pk])
    client.force_login(reviewer)
    assert reverse("compare-releases", args=[old.pk]) not in client.get(page).content.decode()
    some_ratings(reviewer, 1)
    new, cancelled = sealed(**whole), frozen(configs=("sft",))
    releasing.cancel(cancelled, now=timezone.now())
    verify_it = reverse("verify-release", args=[old.pk])
    assert "Whole: v0001." in client.post(verify_it, follow=True).content.decode()
    store.write(f"{old.folder}/README.md", b"changed")
    assert "Not whole: v0001: README.md was changed." in client.post(verify_it, follow=True).content.decode()
    compare = reverse("compare-releases", args=[old.pk])
    assert compare in client.get(page).content.decode()
    answer = client.get(compare, {"other": str(new.pk)})
    assert answer.context["differences"] == verify.differences(old=old, new=new)
    assert "From v0001 to v0002" in answer.content.decode()
    for other in (cancelled.pk, old.pk, uuid.uuid4(), "nonsense"):
        assert client.get(compare, {"other": str(other)}).status_code == 404
    client.force_login(factories.UserFactory())
    assert client.post(verify_it).status_code == 403
    assert client.get(compare, {"other": str(new.pk)}).status_code == 403


def test_files_are_downloaded_by_signed_links(reviewer):
    some_ratings(reviewer, 2)
    release = sealed()
    client = Client()
    client.force_login(reviewer)
    page = client.get(reverse("release", args=[release.pk]))
    links = {link.path: link.url for link in page.context["links"]}
    answer = Client().get(links["manifest.json"])
    assert b"".join(answer.streaming_content) == store.read(f"{release.folder}/manifest.json")
    assert Client().get(links["manifest.json"][:-2] + "xx").status_code == 404
    assert [(taken.path, taken.user) for taken in release.downloads.all()] == [("manifest.json", reviewer)]
    assert "manifest.json" in client.get(reverse("release", args=[release.pk])).content.decode()
    User.objects.filter(pk=reviewer.pk).update(is_superuser=False)
    assert Client().get(links["README.md"]).status_code == 404


def test_a_link_to_a_file_works_for_its_time_and_no_longer(reviewer, client, monkeypatch):
    some_ratings(reviewer, 2)
    release = sealed()
    client.force_login(reviewer)
    now = made_at = 1_800_000_000
    # Only the clock of signatures is turned, so that nothing but the link gets older.
    monkeypatch.setattr(signing, "time", SimpleNamespace(time=lambda: now))

    def link():
        page = client.get(reverse("release", args=[release.pk]))
        return next(link.url for link in page.context["links"] if link.path == "README.md")

    old = link()
    now = made_at + downloads.SECONDS
    answer = Client().get(old)
    assert b"".join(answer.streaming_content) == store.read(f"{release.folder}/README.md")
    now += 1
    assert Client().get(old).status_code == 404
    assert release.downloads.count() == 1
    assert Client().get(link()).status_code == 200, "the page gives new links"


def test_a_dry_run_tells_on_the_command_line_what_becomes_of_the_ratings(reviewer, capsys):
    some_ratings(reviewer, 2)
    rated(factories.conversation(factories.consenting_user(), ("Hi", "Hello.")), 1, reviewer, verdict="")
    # Of what was rated up, "Blue 0." and "Blue 1." are shorter than this; what a reviewer wrote is longer.
    call_command("release", "make", "--dry-run", "--spec", '{"configs": ["sft"], "min_reply_characters": 8}')
    steps = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert steps == [
        ["5", "Ratings"],
        ["1", "Left out: not reviewed yet"],
        ["4", "Ratings used"],
        ["4", "Rows made of them"],
        ["2", "Dropped: too short"],
        ["2", "Rows of sft (demonstrations)"],
    ]
    assert not Release.objects.data_sets().exists()


def test_the_command_makes_verifies_and_opens_a_release(reviewer, capsys):
    some_ratings(reviewer, 2)
    call_command("release", "make", "--dry-run")
    assert not Release.objects.data_sets().exists()
    call_command("release", "make")
    call_command("release", "verify", "1")
    call_command("release", "load-check", "1")
    call_command("release", "diff", "1", "1")
    call_command("release", "list")
    assert "v0001 is whole" in capsys.readouterr().out
