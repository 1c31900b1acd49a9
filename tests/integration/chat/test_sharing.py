"""Sharing a part, taking it back, going on from it, forking, and titles."""

import io
import uuid
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from accounts import consent
from billing.plans import seed_plans
from chat import copying, sharing, titles, tree
from chat.models import Conversation, Message, Reply, Share
from chat.views.sharing import MESSAGES_ON_A_PAGE
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(db):
    return factories.UserFactory(name="Ann Example")


@pytest.fixture
def client(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def talk(user):
    factories.conversation(user, ("one?", "1"), ("two?", "2 **bold**"), ("three?", "3"))
    return Conversation.objects.get()


def find(content):
    return Message.objects.get(content=content)


def link(talk, first="one?", last="3", **more):
    options = {"title": "Numbers", "is_anonymous": True, "is_indexed": False, "days": None, "now": timezone.now()}
    return sharing.share(conversation=talk, first=find(first), last=find(last), **{**options, **more})


def read(shared, client=None):
    return (client or Client()).get(reverse("shared", args=[shared.token]))


def test_anybody_with_the_link_reads_the_chosen_part_and_no_more(talk):
    answer = read(link(talk, "two?", "2 **bold**"))
    page = answer.content.decode()
    assert "<strong>bold</strong>" in page
    assert "one?" not in page
    assert "three?" not in page
    assert "Ann" not in page
    assert "example.org" not in page
    assert answer["X-Robots-Tag"] == "noindex, nofollow"
    assert answer["Referrer-Policy"] == "same-origin"  # the link does not leak to where its links lead


def test_a_long_one_is_read_page_by_page(user):
    messages = factories.long_conversation(user, 2 * MESSAGES_ON_A_PAGE + 2)
    shared = link(messages[0].conversation, "message 0.", messages[-1].content)
    pages = [
        Client().get(reverse("shared", args=[shared.token]), {"page": number}).content.decode() for number in (1, 3)
    ]
    assert [page.count('class="turn ') for page in pages] == [MESSAGES_ON_A_PAGE, 2]
    assert messages[0].content in pages[0]
    assert messages[-1].content in pages[1]
    assert 'href="?page=2"' in pages[0]


def test_what_is_written_later_is_not_shared(talk):
    shared = link(talk, "one?", "1")
    factories.reply_to(find("one?"), "a later variant")
    assert "a later variant" not in read(shared).content.decode()


def test_the_owner_may_show_the_name_and_let_it_be_indexed(talk):
    answer = read(link(talk, is_anonymous=False, is_indexed=True))
    assert "Shared by Ann Example." in answer.content.decode()
    assert "X-Robots-Tag" not in answer
    assert "noindex" not in answer.content.decode()


def test_a_link_ends_when_taken_back_expired_or_deleted(client, talk):
    kept, expiring = link(talk), link(talk, days=7)
    Share.objects.filter(pk=expiring.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert read(expiring).status_code == 404
    client.post(reverse("revoke", args=[kept.pk]))
    assert read(kept).status_code == 404
    deleted = link(talk)
    Conversation.objects.update(deleted_at=timezone.now())
    assert read(deleted).status_code == 404
    assert Client().get(reverse("shared", args=["nothing-of-the-kind"])).status_code == 404


def test_nobody_shares_or_takes_back_what_is_not_theirs(talk):
    shared = link(talk)
    stranger = Client()
    stranger.force_login(factories.UserFactory())
    assert stranger.get(reverse("share", args=[talk.pk])).status_code == 404
    assert stranger.post(reverse("revoke", args=[shared.pk])).status_code == 404
    assert read(shared).status_code == 200


def test_the_form_makes_a_link_of_the_chosen_part(client, talk):
    form = {"title": "T", "first": str(find("two?").pk), "last": str(find("3").pk), "days": "7", "is_anonymous": "on"}
    assert client.post(reverse("share", args=[talk.pk]), form).status_code == 302
    shared = Share.objects.get()
    assert [message.content for message in sharing.messages_of(shared)] == ["two?", "2 **bold**", "three?", "3"]
    assert shared.expires_at
    assert shared.token in client.get(reverse("share", args=[talk.pk])).content.decode()
    backwards = {**form, "first": str(find("three?").pk), "last": str(find("1").pk)}
    assert "cannot be shared" in client.post(reverse("share", args=[talk.pk]), backwards).content.decode()


def test_a_temporary_or_unfinished_chat_cannot_be_shared(talk):
    Reply.objects.filter(pk=find("3").pk).update(state="queued", finished_at=None)
    with pytest.raises(sharing.CannotShare):
        link(talk)
    Conversation.objects.update(is_temporary=True)
    talk.refresh_from_db()
    with pytest.raises(sharing.CannotShare):
        link(talk, "one?", "1")


def test_a_reader_goes_on_from_it_in_a_chat_of_their_own(talk):
    reader = factories.UserFactory()
    client = Client()
    address = reverse("continue-shared", args=[link(talk, "two?", "3").token])
    assert "/accounts/login" in client.post(address)["Location"]
    client.force_login(reader)
    client.post(address)
    made = Conversation.objects.get(user=reader)
    assert made.origin == "share"
    assert [turn.message.content for turn in tree.current_path(made)] == ["two?", "2 **bold**", "three?", "3"]
    assert set(Reply.objects.filter(message__conversation=made).values_list("user", flat=True)) == {reader.pk}
    assert talk.messages.count() == 6


@pytest.mark.parametrize(("part", "messages"), [("path", 4), ("branches", 5), ("everything", 7)])
def test_a_fork_takes_the_path_its_variants_or_everything(client, talk, part, messages):
    factories.reply_to(find("one?"), "1 again")
    target = find("2 **bold**")
    client.post(reverse("fork", args=[talk.pk, target.pk]), {"part": part})
    made = Conversation.objects.get(origin="fork")
    assert made.messages.count() == messages
    assert tree.current_path(made)[-1].message.content == "2 **bold**"
    assert talk.messages.count() == 7


def test_a_copy_leaves_out_what_is_unfinished_and_what_hangs_below_it(user, talk):
    Reply.objects.filter(pk=find("2 **bold**").pk).update(state="queued", finished_at=None)
    made = copying.fork(conversation=talk, message=find("3"), part=copying.Part.EVERYTHING, now=timezone.now())
    assert "2 **bold**" not in made.messages.values_list("content", flat=True)
    assert not Reply.objects.unfinished().filter(message__conversation=made).exists()


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ('"Ships and Water."', "Ships and Water"),
        ("**Title: How ships float**\n\nThis is because", "How ships float"),
        ("标题：船为什么能浮", "船为什么能浮"),
        ("", ""),
        ("\n\n", ""),
        ("x" * 61, ""),
    ],
)
def test_a_title_is_cleaned_or_refused(written, title):
    assert titles.cleaned(written) == title


def test_a_title_of_the_person_is_never_overwritten(user, talk, monkeypatch):
    Conversation.objects.update(title="Mine", title_source="person")
    titles.make(talk.pk)  # would reach for the model, which does not run here, if it meant to change it
    titles.make(uuid.uuid4())
    assert Conversation.objects.get().title == "Mine"


@pytest.mark.parametrize(
    ("origin", "kept"), [("own", "fork"), ("fork", "fork"), ("share", "share"), ("import", "import")]
)
def test_words_of_others_stay_theirs_in_a_fork(origin, kept):
    reply = factories.conversation(factories.UserFactory(), ("Hi", "Hello"))
    Conversation.objects.update(origin=origin)
    reply.conversation.refresh_from_db()
    forked = copying.fork(conversation=reply.conversation, message=reply, part=copying.Part.PATH, now=timezone.now())
    assert forked.origin == kept


def card_of(shared):
    return Client().get(reverse("shared-card", args=[shared.token]))


@pytest.mark.parametrize("title", ["Numbers", "Für Élise – “why”?", "W" * 120, "many words " * 10])
def test_a_shared_conversation_has_a_picture_for_previews(talk, title):
    shared = link(talk, title=title[:120])
    address = settings.SITE_URL + reverse("shared-card", args=[shared.token])
    assert f'content="{address}"' in read(shared).content.decode()
    answer = card_of(shared)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert answer["X-Robots-Tag"] == "noindex, nofollow"
    assert answer["Cache-Control"] == "no-cache"
    assert Image.open(io.BytesIO(answer.content)).size == (1200, 630)


def test_titles_that_the_font_cannot_write_have_the_site_s_picture(talk):
    shared = link(talk, title="湖水")
    assert "config/social" in read(shared).content.decode()
    assert card_of(shared).status_code == 404


def test_the_picture_goes_with_the_link(talk):
    shared = link(talk)
    sharing.revoke(shared, now=timezone.now())
    assert card_of(shared).status_code == 404


def test_who_goes_on_gets_neither_the_owner_s_own_title_nor_instructions(talk):
    Conversation.objects.update(title="Ann and her divorce")
    Reply.objects.update(system_prompt="About the person you talk to:\nAnn Example, 44, of Leeds")
    made = sharing.continue_from(link(talk, title=""), user=factories.UserFactory(), now=timezone.now())
    assert made.title == "one?"
    told = set(Reply.objects.filter(message__conversation=made).values_list("system_prompt", flat=True))
    assert told == {settings.CHAT_SYSTEM_PROMPT}


def test_links_that_ended_leave_room_for_others(talk, monkeypatch):
    monkeypatch.setattr(sharing, "LINKS_A_CONVERSATION", 1)
    link(talk, days=1, now=timezone.now() - timedelta(days=2))
    assert read(link(talk)).status_code == 200
    with pytest.raises(sharing.CannotShare):
        link(talk)


def test_what_training_may_not_use_it_may_not_use_in_a_fork(talk):
    consent.grant(talk.user, now=timezone.now())
    consent.withdraw(talk.user, scope="conversation", subject_id=talk.pk, now=timezone.now())
    forked = copying.fork(conversation=talk, message=find("1"), part=copying.Part.PATH, now=timezone.now())
    assert not consent.consent_in_force(talk.user, scope="conversation", subject_id=forked.pk)


def test_a_fork_of_a_temporary_chat_is_temporary(talk):
    talk.is_temporary = True
    talk.save()
    forked = copying.fork(conversation=talk, message=find("1"), part=copying.Part.PATH, now=timezone.now())
    assert forked.is_temporary
    assert forked.never_trains


def test_a_fork_that_ends_at_a_question_goes_on(client, user, talk):
    seed_plans()
    page = client.get(reverse("conversation", args=[talk.pk])).content.decode()
    address = reverse("fork", args=[talk.pk, find("two?").pk])
    assert f'action="{address}"' in page
    client.post(address, {"part": "path"})
    made = Conversation.objects.get(origin="fork")
    assert [turn.message.content for turn in tree.current_path(made)] == ["one?", "1", "two?"]
    form = {"content": "and four?", "client_id": uuid.uuid4(), "parent": made.current_leaf_id}
    assert client.post(reverse("send", args=[made.pk]), form, headers={"X-Requested-With": "fetch"}).status_code == 201
    shown = tree.current_path(Conversation.objects.get(pk=made.pk))
    assert [turn.message.content for turn in shown] == ["one?", "1", "two?", "and four?", ""]
