"""Exports in three forms, and imports of ChatGPT's export, honest and hostile."""

import io
import json
import threading
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat import exporting, importing, tree
from chat.importing import BadExport
from chat.models import Conversation, Message, Reply
from tests import factories
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db):
    return factories.UserFactory()


@pytest.fixture
def client(user):
    client = Client()
    client.force_login(user)
    return client


def node(key, parent, role, *parts, **message):
    content = {"content_type": "text", "parts": list(parts)}
    said = {"author": {"role": role}, "content": content, "create_time": 1.7e9, **message} if role else None
    return {key: {"id": key, "message": said, "parent": parent, "children": []}}


def talk(identity="c1", **more):
    mapping = {
        **node("root", None, None),
        **node("system", "root", "system", ""),
        **node("q", "system", "user", "How do ships float?"),
        **node("tool", "q", "tool", "lookup"),
        **node("a1", "tool", "assistant", "They displace water.", metadata={"model_slug": "gpt-4"}),
        **node("a2", "q", "assistant", "By **buoyancy**."),
        **node("q2", "a1", "user", "And stones?"),
    }
    return {"id": identity, "title": "Ships", "create_time": 1.7e9, "mapping": mapping, "current_node": "a2", **more}


def take(user, found):
    text = found if isinstance(found, bytes) else json.dumps(found).encode()
    return importing.take(io.BytesIO(text), user=user, now=timezone.now())


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_json", ".json"), text)
    return buffer.getvalue()


def test_the_tree_of_an_export_comes_in_with_its_branches(user):
    assert take(user, [talk()]) == importing.Imported(1, 0, 0)
    made = Conversation.objects.get()
    assert made.title == "Ships"
    assert made.origin == "import"
    path = tree.current_path(made)
    assert [turn.message.content for turn in path] == ["How do ships float?", "By **buoyancy**."]
    assert len(path[1].siblings) == 2
    assert Message.objects.get(content="And stones?").parent.content == "They displace water."
    assert Reply.objects.get(message__content="They displace water.").model == "imported: gpt-4"


def test_what_goes_on_after_a_tool_was_asked_is_one_reply(user):
    mapping = {
        **node("q", None, "user", "How high is it?"),
        **node("a1", "q", "assistant", "I will look it up.", metadata={"model_slug": "gpt-4"}),
        **node("tool1", "a1", "tool", "search"),
        **node("a2", "tool1", "assistant", "And in metres:"),
        **node("tool2", "a2", "tool", "calculate"),
        **node("a3", "tool2", "assistant", "324 metres."),
        **node("q2", "a3", "user", "And the other?"),
        **node("b1", "q2", "assistant", "Let me see."),
        **node("b2", "b1", "assistant", "Higher."),
        **node("b3", "b1", "assistant", "Lower."),
    }
    take(user, [talk(mapping=mapping, current_node="a2")])
    made = Conversation.objects.get()
    whole = "I will look it up.\n\nAnd in metres:\n\n324 metres."
    assert [turn.message.content for turn in tree.current_path(made)] == ["How high is it?", whole]
    assert Reply.objects.get(message=made.current_leaf).model == "imported: gpt-4"
    assert Reply.objects.count() == 4
    tree.select(made, Message.objects.get(content="Higher.").pk)
    said = ["How high is it?", whole, "And the other?", "Let me see.", "Higher."]
    assert [turn.message.content for turn in tree.current_path(made)] == said


def test_the_same_export_twice_is_once_for_each_person(user):
    take(user, [talk(), talk("c2")])
    assert take(user, zipped(conversations_json=json.dumps([talk(), talk("c3")]))) == importing.Imported(1, 1, 0)
    assert take(factories.UserFactory(), [talk()]).taken == 1


def test_what_was_deleted_comes_back_when_it_is_imported_again(user):
    take(user, [talk(), talk("c2")])
    Conversation.objects.filter(client_id=Conversation.objects.first().client_id).update(deleted_at=timezone.now())
    assert take(user, [talk(), talk("c2")]) == importing.Imported(1, 1, 0)
    assert Conversation.objects.of(user).count() == 2


def test_of_pictures_it_is_said_that_they_were_there(user):
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    spoken = {"content_type": "audio_transcription", "text": "What is this?"}
    mapping = node("q", None, "user", picture, spoken)
    mapping["q"]["message"]["content"]["content_type"] = "multimodal_text"
    take(user, [talk(mapping=mapping)])
    assert Message.objects.get().content == "[not brought in: a picture or file]\n\nWhat is this?"


def test_what_takes_too_long_is_left_and_comes_the_next_time(client, user, monkeypatch):
    monkeypatch.setattr(importing, "PATIENCE_SECONDS", 0)
    export = json.dumps([talk("c1"), talk("c2")]).encode()
    answer = client.post(reverse("transfer"), {"file": SimpleUploadedFile("x.json", export)}, follow=True)
    assert "1 conversation came in. 1 are left" in answer.content.decode()
    monkeypatch.undo()
    assert take(user, export) == importing.Imported(1, 1, 0)


def test_a_script_sends_the_file_until_all_of_it_is_in(client, monkeypatch):
    monkeypatch.setattr(importing, "PATIENCE_SECONDS", 0)
    export = json.dumps([talk("c1"), {"mapping": 1}, talk("c3")]).encode()

    def send(**counts):
        file = SimpleUploadedFile("x.json", export)
        return client.post(reverse("transfer"), {"file": file, **counts}, headers={"X-Requested-With": "fetch"}).json()

    answers = [send()]
    while "again" in answers[-1]:
        answers.append(send(**answers[-1]["again"]))
    assert [answer.get("text") for answer in answers] == ["1 of 3 conversations", "2 of 3 conversations", None]
    told = client.get(answers[-1]["url"]).content.decode()
    assert "2 conversations came in. 1 could not be read." in told
    assert Conversation.objects.count() == 2


@pytest.mark.parametrize("counts", [{}, {"taken": "x"}, {"known": -1}])
def test_a_script_is_told_what_is_wrong_too(client, counts):
    sent = {"file": SimpleUploadedFile("x.json", b"{}"), **counts}
    answer = client.post(reverse("transfer"), sent, headers={"X-Requested-With": "fetch"})
    assert answer.status_code == 400
    assert answer.json()["detail"]


def somebody_waits_for_this_transaction():
    """PostgreSQL has whoever stores the same key wait for the end of the one that stored it first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)"
        )
        return cursor.fetchone()[0]


def test_the_same_export_from_two_tabs_is_once(transactional_db):
    user = factories.UserFactory()
    twin = uuid.uuid5(importing._NAMESPACE, f"{user.pk}:c1")
    is_stored = threading.Event()

    def other_tab():
        try:
            with transaction.atomic():
                Conversation.objects.create(user=user, client_id=twin)
                is_stored.set()
                # Committed sooner, this tab would find it there, and no race would have been run.
                wait_until(somebody_waits_for_this_transaction, what="the two tabs did not meet")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        stored = other.submit(other_tab)
        assert is_stored.wait(timeout=30)
        assert take(user, [talk(), talk("c2")]) == importing.Imported(1, 1, 0)
        stored.result()


def test_an_imported_chat_opens_and_can_be_exported_again(client, user):
    take(user, [talk()])
    made = Conversation.objects.get()
    assert b"<strong>buoyancy</strong>" in client.get(reverse("conversation", args=[made.pk])).content
    assert client.get(reverse("export", args=[made.pk, "json"])).json()["messages"]


HOSTILE = {
    "a ring": {"mapping": {**node("a", "b", "user", "x"), **node("b", "a", "user", "y")}},
    "its own parent": {"mapping": node("a", "a", "user", "x")},
    "no mapping": {"title": "x"},
    "mapping is a list": {"mapping": []},
    "mapping of numbers": {"mapping": {"a": 1, "b": None}},
    "not a dict": 7,
    "null": None,
    "nothing said": {"mapping": node("a", None, "system", "x")},
    "only a reply": {"mapping": node("a", None, "assistant", "x")},
    "parts of wrong types": {"mapping": node("a", None, "user", 1, None, {"x": []})},
    "too many nodes": {"mapping": {str(number): {} for number in range(10_001)}},
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_conversation_that_makes_no_sense_is_left_out_and_the_others_come_in(user, raw):
    assert take(user, [raw, talk()]) == importing.Imported(1, 0, 1)


def test_strange_values_become_harmless_ones(user):
    mapping = {
        **node("q", "nowhere", "user", "a\0b\ud800c", create_time=1e300),
        **node("r", "q", "assistant", "x" * 200_000, create_time="yesterday", metadata=[]),
        "s": {"message": {"author": "me", "content": "text"}, "parent": "r"},
    }
    assert take(user, [talk(mapping=mapping, title=["a"], current_node={"x": 1}, create_time=True)]).taken == 1
    assert Message.objects.get(role="user").content == "abc"
    assert len(Message.objects.get(role="assistant").content) == importing.MESSAGE_CHARACTERS
    assert Conversation.objects.get().title == ""


def test_a_chain_of_ten_thousand_messages_comes_in(user):
    mapping = {}
    for number in range(9_999):
        role = "assistant" if number % 2 else "user"
        mapping |= node(str(number), str(number - 1) if number else None, role, f"m{number}")
    assert take(user, [talk(mapping=mapping, current_node="9998")]).taken == 1
    assert len(tree.current_path(Conversation.objects.get())) == 9_999


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (b"", "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (b"[" * 200_000, "not_json"),
        (b'{"a": 1}', "not_a_list"),
        (b"PK\x03\x04 nothing of a zip", "not_a_zip"),
        (zipped(other_json="[]"), "no_conversations"),
        (b" " * (importing.LARGEST_UPLOAD + 1), "too_large"),
    ],
)
def test_what_is_no_export_is_refused_with_a_reason(user, file, code):
    with pytest.raises(BadExport, match=code):
        take(user, file)


def test_a_zip_bomb_is_not_unpacked(user, monkeypatch):
    monkeypatch.setattr(importing, "LARGEST_JSON", 1_000_000)
    with pytest.raises(BadExport, match="too_large"):
        take(user, zipped(conversations_json="[" + " " * 5_000_000 + "]"))


def test_the_page_takes_a_file_and_says_what_came_of_it(client, user):
    file = SimpleUploadedFile("conversations.json", json.dumps([talk(), None]).encode())
    answer = client.post(reverse("transfer"), {"file": file}, follow=True)
    assert "1 conversation came in. 1 could not be read." in answer.content.decode()
    for wrong in ({}, {"file": SimpleUploadedFile("x.json", b"nonsense")}):
        refused = client.post(reverse("transfer"), wrong)
        assert refused.status_code == 400
        assert "banner" in refused.content.decode()


def test_one_conversation_leaves_as_markdown_html_and_json(client, user):
    made = factories.conversation(user, ("<b>Hi</b>", "**Hello** <script>alert(1)</script>")).conversation
    Conversation.objects.update(title='../../etc/passwd "<script>"')
    markdown = client.get(reverse("export", args=[made.pk, "md"]))
    assert "## You\n\n<b>Hi</b>" in markdown.content.decode()
    assert 'filename="etc passwd script.md"' in markdown["Content-Disposition"]
    html = client.get(reverse("export", args=[made.pk, "html"])).content.decode()
    assert "<strong>Hello</strong>" in html
    assert "<script>" not in html
    assert "&lt;b&gt;Hi" in html
    assert html.startswith('<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport"')
    document = client.get(reverse("export", args=[made.pk, "json"])).json()
    assert [message["role"] for message in document["messages"]] == ["user", "assistant"]
    assert document["messages"][1]["receipt"]["seed"] == 7
    assert client.get(reverse("export", args=[made.pk, "exe"])).status_code == 404


def whole(answer):
    async def read():
        return b"".join([part async for part in answer.streaming_content])

    return async_to_sync(read)()


def test_all_of_them_leave_in_a_zip(client, user):
    for _number in range(3):
        factories.conversation(user, ("Hi", "Hello"))
    factories.conversation(factories.UserFactory(), ("secret", "secret"))
    answer = client.get(reverse("export-all", args=["md"]))
    with zipfile.ZipFile(io.BytesIO(whole(answer))) as archive:
        names = archive.namelist()
        assert names == ["0001 A talk.md", "0002 A talk.md", "0003 A talk.md"]
        assert b"secret" not in b"".join(archive.read(name) for name in names)


@pytest.mark.parametrize("title", ["", "...", "\0\x01", "CON/../x", "船" * 100, "a\r\nSet-Cookie: x"])
def test_a_file_name_is_a_name_whatever_the_title(title):
    name = exporting.file_name(Conversation(title=title), "md")
    assert name.endswith(".md")
    assert not set(name) & set('/\\\0\r\n:"<>|')
    assert not name.startswith(".")


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_zip_whose_inside_is_damaged_is_refused_with_a_reason(user, packing):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        archive.writestr("conversations.json", json.dumps([talk()] * 50))
    damaged = bytearray(buffer.getvalue())
    begin = 30 + len("conversations.json")
    damaged[begin + 12 : begin + 60] = b"\xff" * 48
    with pytest.raises(importing.BadExport, match="not_a_zip"):
        take(user, bytes(damaged))
