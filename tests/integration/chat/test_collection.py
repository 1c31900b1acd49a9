"""Keeping order among conversations, and what does not stay."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat import collection, retention, search, sidebar, streams
from chat.collection import Action, BadFolder
from chat.models import Conversation, Folder, Message
from tests.factories import UserFactory, conversation

pytestmark = pytest.mark.django_db
FETCH = {"X-Requested-With": "fetch"}


@pytest.fixture
def user(db):
    return UserFactory()


@pytest.fixture
def client(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def talk(user):
    return conversation(user, ("Hello", "Hi")).conversation


def do(user, action, *conversations, **more):
    ids = [one.pk for one in conversations]
    return collection.change(user=user, ids=ids, action=action, now=timezone.now(), **more)


def page(user):
    return sidebar.page_of(user, now=timezone.now())


def grouped(user):
    return [row for _label, rows in page(user).groups for row in rows]


def test_what_is_pinned_stands_apart_and_first(user, talk):
    do(user, Action.PIN, talk)
    assert page(user).pinned == [talk]
    assert grouped(user) == []
    do(user, Action.UNPIN, talk)
    assert grouped(user) == [talk]


def test_what_is_archived_leaves_the_list_and_comes_back_with_its_pin(user, talk):
    do(user, Action.PIN, talk)
    do(user, Action.ARCHIVE, talk)
    assert page(user).is_empty
    do(user, Action.UNARCHIVE, talk)
    assert page(user).pinned == [talk]


@pytest.mark.django_db(transaction=True)
def test_a_folder_that_two_tabs_make_at_once_is_one():
    user = UserFactory()

    def make(_number):
        try:
            return collection.folder_named(user=user, name="Work").pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(8)))) == 1


def test_a_folder_is_one_whose_small_letters_are_the_same(user):
    kelvin = "\N{KELVIN SIGN}"  # its small letter is k, and the capital of that another one
    made = collection.folder_named(user=user, name=kelvin)
    assert collection.folder_named(user=user, name="k") == made


def test_a_folder_is_made_by_its_name_once_whatever_the_case(user, talk):
    other = conversation(user, ("a", "b")).conversation
    do(user, Action.MOVE, talk, folder_name="Work")
    do(user, Action.MOVE, other, folder_name=" work ")
    folder = Folder.objects.get()
    assert set(folder.conversations.all()) == {talk, other}
    assert page(user).folders == [folder]
    assert grouped(user) == []
    do(user, Action.MOVE, talk, folder_name="")
    assert grouped(user) == [talk]


def test_folders_are_limited_and_named_once(user, talk, monkeypatch):
    monkeypatch.setattr(collection, "FOLDERS", 2)
    first = collection.folder_named(user=user, name="one")
    collection.folder_named(user=user, name="two")
    with pytest.raises(BadFolder):
        do(user, Action.MOVE, talk, folder_name="three")
    for name in ("TWO", "", "x" * 61):
        with pytest.raises(BadFolder):
            collection.rename_folder(folder=first, name=name)


def test_nobody_changes_what_is_not_theirs(user, talk):
    assert do(UserFactory(), Action.DELETE, talk).ids == []
    assert grouped(user) == [talk]


def test_many_are_deleted_at_once_and_brought_back(client, user):
    talks = [conversation(user, ("a", "b")).conversation for _number in range(3)]
    form = {"conversation": [str(one.pk) for one in talks], "action": "delete"}
    answer = client.post(reverse("change-conversations"), form, headers=FETCH).json()
    assert answer["text"] == "3 conversations deleted."
    assert page(user).is_empty
    client.post(reverse("change-conversations"), {"conversation": answer["ids"], "action": answer["undo"]})
    assert len(grouped(user)) == 3


def test_undo_leaves_alone_what_was_so_before(client, user, talk):
    other = conversation(user, ("a", "b")).conversation
    do(user, Action.PIN, talk)
    form = {"conversation": [str(talk.pk), str(other.pk)], "action": "pin"}
    answer = client.post(reverse("change-conversations"), form, headers=FETCH).json()
    assert answer["text"] == "2 conversations pinned."
    assert answer["undo_ids"] == [str(other.pk)]
    again = client.post(reverse("change-conversations"), form, headers=FETCH).json()
    assert again["undo"] is None


def test_more_pins_than_stand_at_the_top_are_in_the_list(user, monkeypatch):
    monkeypatch.setattr(sidebar, "PINNED", 1)
    first, second = (conversation(user, ("a", "b")).conversation for _number in range(2))
    do(user, Action.PIN, first)
    do(user, Action.PIN, second)
    assert page(user).pinned == [second]
    assert grouped(user) == [first]


def test_hits_go_on_from_page_to_page(client, user, monkeypatch):
    monkeypatch.setattr(search, "HITS", 2)
    for number in range(3):
        conversation(user, (f"needle {number}", "thread"))
    first = client.get(reverse("collection"), {"q": "needle"}).content.decode()
    assert "2 hits, and more" in first
    following = re.search(r'href="([^"]+)">More hits', first)[1]
    second = client.get(unescape(following)).content.decode()
    assert "1 hit<" in second
    assert "More hits" not in second
    found = [re.findall(r"</mark> (\d)", one) for one in (first, second)]
    assert found == [["2", "1"], ["0"]]
    assert "needle" in client.get(reverse("collection"), {"q": "needle", "after": "nonsense"}).content.decode()


def test_without_scripts_deleted_ones_are_on_a_page_of_their_own(client, user, talk):
    form = {"conversation": str(talk.pk), "action": "delete", "next": "https://evil.example/"}
    assert client.post(reverse("change-conversations"), form)["Location"] == reverse("collection")
    assert "A talk" in client.get(reverse("collection"), {"show": "deleted"}).content.decode()
    assert client.get(reverse("conversation", args=[talk.pk])).status_code == 404


@pytest.mark.parametrize(
    "form", [{}, {"action": "delete"}, {"action": "explode", "conversation": str(uuid.uuid4())}, {"conversation": "x"}]
)
def test_a_change_of_nothing_says_what_to_do(client, form):
    answer = client.post(reverse("change-conversations"), form, headers=FETCH)
    assert answer.status_code == 400
    assert "Choose at least one" in answer.json()["error"]["message"]


def test_every_view_of_the_page_answers(client, user, talk):
    do(user, Action.MOVE, talk, folder_name="Work")
    folder = Folder.objects.get()
    for query in ({}, {"show": "archived"}, {"folder": folder.pk}, {"q": "Hello"}, {"after": "nonsense"}):
        answer = client.get(reverse("collection"), query)
        assert answer.status_code == 200
    assert "<mark>Hello</mark>" in client.get(reverse("collection"), {"q": "Hello"}).content.decode()
    assert client.get(reverse("collection"), {"folder": uuid.uuid4()}).status_code == 404
    assert client.get(reverse("manage", args=[talk.pk])).status_code == 200
    client.post(reverse("change-folder", args=[folder.pk]), {"name": "Play"})
    assert Folder.objects.get().name == "Play"
    client.post(reverse("change-folder", args=[folder.pk]), {"delete": "1"})
    assert grouped(user) == [talk]


def test_pages_of_the_list_neither_miss_nor_repeat(user):
    now = timezone.now()
    made = [
        Conversation.objects.create(user=user, title=str(number), updated_at=now - timedelta(minutes=number // 3))
        for number in range(95)
    ]
    seen, cursor = [], ""
    while True:
        shown = sidebar.page_of(user, now=now, cursor=cursor)
        seen += [row.pk for _label, rows in shown.groups for row in rows]
        cursor = shown.cursor
        if not cursor:
            break
    assert len(seen) == 95
    assert set(seen) == {one.pk for one in made}


def test_a_temporary_conversation_is_never_listed_and_leaves_no_trace(user):
    answer = conversation(user, ("secret", "words"))
    talk = answer.conversation
    Conversation.objects.filter(pk=talk.pk).update(is_temporary=True)
    streams.connection().set(streams.Keys(answer.pk)["text"], "words")
    assert page(user).is_empty
    now = timezone.now()
    assert retention.sweep(now=now + timedelta(hours=23)) == 0
    assert retention.sweep(now=now + timedelta(hours=25)) == 1
    assert not Message.objects.exists()
    assert not Conversation.objects.exists()
    assert streams.connection().get(streams.Keys(answer.pk)["text"]) is None


def test_what_was_deleted_is_erased_when_it_can_no_longer_be_restored(user, talk):
    kept = conversation(user, ("a", "b")).conversation
    do(user, Action.DELETE, talk)
    now = timezone.now()
    assert retention.sweep(now=now + timedelta(days=29)) == 0
    assert retention.sweep(now=now + timedelta(days=31)) == 1
    assert list(Conversation.objects.all()) == [kept]
