"""Documents of a conversation, from the form to the passages in the database, and away again without a trace."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import data_copies, erasure
from accounts.models import DataCopy
from chat import retention, sending
from chat.documents import attaching, reading
from chat.models import WITH_WORDS_OF_OTHERS, Conversation, Document, DocumentFile, Passage
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db: None) -> Any:
    return factories.UserFactory(name="Ann Example")


@pytest.fixture
def client(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def talk(user: Any) -> Conversation:
    return factories.conversation(user, ("one?", "1")).conversation


def attached(user: Any, content: bytes, name: str = "birds.md", conversation: Conversation | None = None) -> Document:
    """A document after its worker: read, or refused."""
    document = attaching.attach(user=user, conversation=conversation, name=name, content=content, now=timezone.now())
    reading.read(document.pk, now=timezone.now())
    document.refresh_from_db()
    return document


def post(client: Client, *files: tuple[str, bytes], **fields: str) -> Any:
    uploaded = [SimpleUploadedFile(name, content) for name, content in files]
    headers = {"X-Requested-With": "fetch"}
    return client.post(reverse("attach"), {"file": uploaded, **fields}, headers=headers)


def test_a_file_is_read_into_passages_and_then_forgotten(user: Any, talk: Conversation) -> None:
    document = attached(user, b"# Birds\n\nOwls fly.", conversation=talk)
    assert (document.state, document.kind) == ("ready", "markdown")
    assert Passage.objects.get().content == "# Birds\n\nOwls fly."
    assert not DocumentFile.objects.exists()


def test_a_file_that_cannot_be_read_says_why_in_the_persons_language(client: Client, user: Any) -> None:
    document = attached(user, b"MZ\x90\0", name="report.pdf")
    assert (document.state, document.reason) == ("refused", "program")
    assert not DocumentFile.objects.exists()
    answer = client.get(reverse("document-state", args=[document.pk])).json()
    assert "This is a program, whatever its name says." in answer["html"]
    assert answer["state"] == "refused"


def test_reading_twice_is_reading_once(user: Any) -> None:
    document = attached(user, b"Owls fly.")
    reading.read(document.pk, now=timezone.now())
    assert Passage.objects.count() == 1


def test_a_document_whose_worker_died_is_read_by_another_and_at_last_refused(user: Any) -> None:
    document = attaching.attach(user=user, conversation=None, name="a.txt", content=b"Owls", now=timezone.now())
    late = timezone.now() + timedelta(hours=1)
    assert list(Document.objects.stuck(now=late)) == [document]
    Document.objects.filter(pk=document.pk).update(attempts=Document.MAX_ATTEMPTS)
    reading.sweep(now=late)
    document.refresh_from_db()
    assert (document.state, document.reason) == ("refused", "too_much_work")


def test_documents_of_a_new_chat_come_with_its_first_message(client: Client, user: Any) -> None:
    ids = [post(client, (name, b"Owls fly.")).json()["id"] for name in ("a.txt", "b.txt")]
    assert client.get(reverse("chat")).content.count(b"data-document=") == 2, "a refresh keeps them"
    others = attached(factories.UserFactory(), b"Private.")
    sent = {
        "content": "What flies?",
        "client_id": str(uuid.uuid4()),
        "documents": ",".join([*ids, str(others.pk), "x"]),
    }
    client.post(reverse("chat"), sent)
    conversation = Conversation.objects.get()
    assert {str(document.pk) for document in conversation.documents.all()} == set(ids)
    assert conversation.origin in WITH_WORDS_OF_OTHERS
    others.refresh_from_db()
    assert others.conversation is None


@pytest.mark.parametrize("origin", Conversation.Origin.values)
def test_with_a_document_a_conversation_is_never_given_away(user: Any, talk: Conversation, origin: str) -> None:
    Conversation.objects.filter(pk=talk.pk).update(origin=origin)
    attached(user, b"Words of somebody else.", conversation=talk)
    talk.refresh_from_db()
    assert talk.origin in WITH_WORDS_OF_OTHERS


def test_names_are_shown_as_text_and_cleaned(client: Client, user: Any) -> None:
    name = "..\\..\\<img src=x onerror=alert(1)>\0\u202egnp.txt"
    document = attached(user, b"Owls fly. <script>alert(1)</script>", name=name)
    assert document.name == "<img src=x onerror=alert(1)>gnp.txt"
    page = client.get(reverse("document", args=[document.pk])).content.decode()
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_long_name_keeps_its_end(user: Any) -> None:
    assert attached(user, b"a,b\n1,2", name="n" * 300 + ".csv").name.endswith("nnn.csv")


def test_limits_of_size_and_number(client: Client, talk: Conversation, settings: Any) -> None:
    settings.DOCUMENT_MEGABYTES = 1
    refusal = post(client, ("a.txt", b"x" * 1_000_001), conversation=str(talk.pk))
    assert refusal.status_code == 400
    assert "at most 1 MB" in refusal.json()["message"]
    settings.DOCUMENTS_A_CONVERSATION = 1
    assert post(client, ("a.txt", b"x"), conversation=str(talk.pk)).status_code == 201
    assert "can have 1 documents" in post(client, ("b.txt", b"x"), conversation=str(talk.pk)).json()["message"]
    settings.DOCUMENTS_KEPT_FREE = 1
    assert "Your plan keeps 1 documents" in post(client, ("b.txt", b"x")).json()["message"]
    assert Document.objects.count() == 1


def test_nobody_else_sees_attaches_or_removes(user: Any, talk: Conversation) -> None:
    document = attached(user, b"Private.", conversation=talk)
    stranger = Client()
    stranger.force_login(factories.UserFactory())
    assert stranger.get(reverse("document", args=[document.pk])).status_code == 404
    assert stranger.get(reverse("document-state", args=[document.pk])).status_code == 404
    assert stranger.post(reverse("remove-document", args=[document.pk])).status_code == 404
    assert post(stranger, ("a.txt", b"x"), conversation=str(talk.pk)).status_code == 404
    assert Client().get(reverse("document", args=[document.pk])).status_code == 302
    assert Document.objects.count() == 1


def test_a_plain_form_attaches_and_removes_without_scripts(client: Client, talk: Conversation) -> None:
    file = SimpleUploadedFile("a.txt", b"Owls fly.")
    answer = client.post(reverse("attach"), {"file": file, "conversation": str(talk.pk)})
    assert answer.url == reverse("conversation", args=[talk.pk])
    document = Document.objects.get()
    assert client.post(reverse("remove-document", args=[document.pk])).url == reverse("conversation", args=[talk.pk])
    assert not Document.objects.exists()


def test_the_page_of_a_long_document_opens_where_it_is_asked_to(client: Client, user: Any) -> None:
    rows = "".join(f"bird {number},{number}\n" for number in range(450))
    document = attached(user, f"name,weight\n{rows}".encode(), name="birds.csv")
    page = client.get(reverse("document", args=[document.pk]) + "?at=300").content.decode()
    assert 'id="p-300"' in page
    assert "row 301" in page
    assert 'id="p-199"' not in page
    assert "?at=0" in page
    assert "?at=400" in page


def test_what_was_never_sent_goes_after_a_day(user: Any, talk: Conversation) -> None:
    attached(user, b"Unsent.")
    kept = attached(user, b"Sent.", conversation=talk)
    reading.sweep(now=timezone.now() + timedelta(hours=25))
    assert list(Document.objects.all()) == [kept]


def test_documents_go_with_their_conversation(client: Client, user: Any, talk: Conversation, settings: Any) -> None:
    document = attached(user, b"Owls fly.", conversation=talk)
    sending.delete_conversation(conversation=talk, now=timezone.now())
    assert client.get(reverse("document", args=[document.pk])).status_code == 404
    retention.sweep(now=timezone.now() + timedelta(days=settings.DELETED_CHAT_DAYS, hours=1))
    assert not Document.objects.exists()
    assert not Passage.objects.exists()


def test_documents_are_in_the_copy_of_all_data_and_go_with_the_account(user: Any, talk: Conversation) -> None:
    attached(user, b"The marmalade is in the cellar.", conversation=talk)
    attaching.attach(user=user, conversation=talk, name="later.txt", content=b"unread", now=timezone.now())
    Passage.objects.update(embedding=[0.25] * 384)
    copy = DataCopy.objects.create(user=user)
    data_copies.make(copy.pk, now=timezone.now())
    with zipfile.ZipFile(io.BytesIO(default_storage.open(data_copies.path_of(copy.pk)).read())) as archive:
        rows = json.loads(archive.read("json/chat.passage.json"))
        assert rows[0]["content"] == "The marmalade is in the cellar."
        assert "embedding" not in rows[0]
    erasure.erase(user.pk, now=timezone.now())
    assert not Document.objects.exists()
    assert not DocumentFile.objects.exists()
    assert not Passage.objects.exists()
