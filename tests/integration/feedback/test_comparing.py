"""Which do you prefer? Who is asked, what it costs, and what is kept of an answer."""

import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from accounts import consent
from billing import quota
from billing.models import Reservation
from chat import offer, sending
from chat.models import Message, Reply
from feedback import comparing
from feedback.models import Comparison, ImplicitSignal
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import LOOKED
from tests.integration.feedback.test_comparisons_in_releases import rows as released
from tests.integration.feedback.test_release import sealed
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage")]


def send(user, **more):
    return sending.start_conversation(
        user=user, content="Name a colour.", client_id=uuid.uuid4(), now=timezone.now(), **more
    )


def finish(comparison, state="complete"):
    for side, text in zip(comparison.sides, ("Red.", "Blue."), strict=True):
        Reply.objects.filter(pk=side.pk).update(state=state, finished_at=timezone.now())
        side.content = text
        side.save()
    return Comparison.objects.get(pk=comparison.pk)


@pytest.fixture
def user():
    return factories.consenting_user()


@pytest.fixture
def comparison(user):
    return finish(comparing.compare(reply=send(user), now=timezone.now() - timedelta(seconds=5)))


def choose(comparison, choice, **more):
    return comparing.answer(
        comparison_id=comparison.pk, user=comparison.user, choice=choice, now=timezone.now(), **more
    )


def test_a_second_reply_is_drawn_and_costs_nothing(user, settings):
    settings.COMPARISON_SHARE = 1
    reply = send(user)
    comparison = Comparison.objects.get(question=reply.message.parent)
    assert {side.pk for side in comparison.sides} == set(Reply.objects.values_list("pk", flat=True))
    seeds = set(Reply.objects.values_list("seed", flat=True))
    assert len(seeds) == 2
    assert Reservation.objects.get().request_id == reply.pk
    reply.message.conversation.refresh_from_db()
    assert reply.message.conversation.current_leaf_id == reply.pk


def test_the_second_reply_is_written_as_the_first_save_for_the_seed(user):
    reply = send(user)
    reply.keeps_certainty = True
    reply.save()
    first, second = (side.reply for side in comparing.compare(reply=reply, now=timezone.now()).sides)
    for name in ("model", "system_prompt", "sampling", "max_tokens", "queue", "priority", "keeps_certainty"):
        assert getattr(first, name) == getattr(second, name), name
    assert first.seed != second.seed


@pytest.mark.usefixtures("stack")
def test_who_posts_a_message_gets_two_sides_and_one_reply_is_counted(client, settings):
    settings.COMPARISON_SHARE = 1
    settings.COMPARISON_PLANS = ["free"]
    user = factories.consenting_user()
    client.force_login(user)
    message = {"content": "Name a colour.", "client_id": uuid.uuid4()}
    answer = client.post(reverse("chat"), message, headers={"X-Requested-With": "fetch"}).json()
    comparison = Comparison.objects.get(user=user)
    assert comparison.question == Message.objects.get(role="user")
    for side in comparison.sides:
        assert answer["html"].count(f'data-reply="{side.pk}"') == 1
    # A busy machine takes its time for two replies of the real model.
    wait_until(lambda: not Reply.objects.unfinished().exists(), seconds=120, what="a reply did not end")
    assert [side.reply.state for side in Comparison.objects.get().sides] == ["complete", "complete"]
    first = Reply.objects.get(pk=answer["reply"])
    paid = Reservation.objects.get()
    assert (paid.request_id, paid.state) == (first.pk, Reservation.State.SETTLED)
    allowance = quota.allowance_of(user, now=timezone.now())
    assert (allowance.used, allowance.tokens_used) == (1, first.prompt_tokens + first.completion_tokens)


def test_who_skips_has_the_second_reply_stopped_and_never_their_own(client, settings, long_replies):
    settings.COMPARISON_SHARE = 1
    user = factories.consenting_user()
    client.force_login(user)
    message = {"content": "Tell me a long story.", "client_id": uuid.uuid4()}
    answer = client.post(reverse("chat"), message, headers={"X-Requested-With": "fetch"}).json()
    comparison = Comparison.objects.get(user=user)
    wait_until(lambda: not Reply.objects.exclude(state="running").exists(), seconds=60, what="not both began")
    client.post(reverse("answer-comparison", args=[comparison.pk]), {"choice": "skipped"})
    wait_until(lambda: not Reply.objects.unfinished().exists(), seconds=120, what="a reply did not end")
    own, second = Reply.objects.get(pk=answer["reply"]), Reply.objects.exclude(pk=answer["reply"]).get()
    assert (own.state, own.completion_tokens) == ("complete", long_replies)
    assert second.state == "stopped"
    assert second.completion_tokens < long_replies
    assert comparison.second == second.message
    assert not ImplicitSignal.objects.exists(), "nobody stopped it: it says nothing of the reply"


@pytest.mark.parametrize("offered", [True, False])
def test_the_two_replies_may_be_of_two_models(user, settings, storage, offered):
    """Where the service offers the other one; the release says which version wrote which."""
    settings.COMPARISON_MODEL = "candidate"
    cache.set(offer._KEY, [settings.CHAT_MODEL, *(["candidate"] if offered else [])], 60)
    first = send(user)
    comparison = comparing.compare(reply=first, now=timezone.now() - timedelta(minutes=1))
    cache.delete(offer._KEY)
    second = Reply.objects.exclude(pk=first.pk).get()
    assert (first.model, second.model) == (settings.CHAT_MODEL, "candidate" if offered else settings.CHAT_MODEL)
    Reply.objects.filter(pk=first.pk).update(model_version="used@1")
    Reply.objects.filter(pk=second.pk).update(model_version="candidate@2")
    choose(finish(comparison), "left", exposure=LOOKED)
    (row,) = released(sealed(), "comparisons")
    by_position = {comparison.left_id: row["model_a"], comparison.right_id: row["model_b"]}
    assert by_position == {first.pk: "used@1", second.pk: "candidate@2"}


def test_both_positions_come_up(user, settings):
    settings.COMPARISON_SHARE = 1
    lefts = [comparing.compare(reply=fresh(user), now=timezone.now()) for _ in range(24)]
    first_is_left = [one.left_id < one.right_id for one in lefts]
    assert 2 <= sum(first_is_left) <= 22


def fresh(user):
    answer = factories.conversation(user, ("Name a colour.", "Red."))
    return answer.reply


@pytest.mark.parametrize("why", ["share", "consent", "temporary", "plan", "variant", "certain"])
def test_nobody_is_asked_against_the_rules(user, settings, why):
    settings.COMPARISON_SHARE = 0 if why == "share" else 1
    settings.COMPARISON_PLANS = ["pro"] if why == "plan" else []
    if why == "certain":  # both replies would be the same
        settings.CHAT_SAMPLING = {**settings.CHAT_SAMPLING, "temperature": 0.0}
    if why == "consent":
        consent.withdraw(user, now=timezone.now())
    if why == "variant":
        answer = factories.conversation(user, ("Name a colour.", "Red."))
        sending.regenerate(user=user, message=answer, client_id=uuid.uuid4(), now=timezone.now())
    else:
        send(user, is_temporary=why == "temporary")
    assert not Comparison.objects.exists()


@pytest.mark.parametrize("choice", ["left", "right"])
def test_the_preferred_reply_becomes_the_shown_one(comparison, choice):
    exposure = {"left_ms": 1200, "right_ms": -5, "left_whole": True}
    answered = choose(comparison, choice, strength=3, reasons=["clear"], exposure=exposure)
    conversation = answered.question.conversation
    conversation.refresh_from_db()
    assert conversation.current_leaf_id == getattr(answered, choice).pk
    assert (answered.strength, answered.reasons) == (3, ["clear"])
    assert answered.event.exposure["left_ms"] == 1200
    assert "right_ms" not in answered.event.exposure
    assert answered.event.exposure["order"] == [str(comparison.left_id), str(comparison.right_id)]
    assert answered.event.exposure["left_fully_streamed"]
    assert not answered.event.exposure["right_fully_streamed"]
    assert answered.event.had_consent
    assert set(answered.event.snapshots) == {"left", "right"}


def test_a_browser_that_says_it_looked_longer_than_the_page_stood_is_not_believed(comparison):
    answered = choose(comparison, "tie", exposure={"left_ms": 60_000, "right_ms": 3_000})
    assert answered.event.exposure["left_ms"] == answered.event.exposure["open_ms"] < 60_000
    assert answered.event.exposure["right_ms"] == 3_000


@pytest.mark.parametrize("state", ["complete", "stopped"])
@pytest.mark.parametrize("whole", ["true", "false", "", None], ids=["whole", "not whole", "not known", "not said"])
def test_fully_streamed_is_what_was_written_to_its_end_and_shown_to_its_end(user, client, state, whole):
    comparison = finish(comparing.compare(reply=send(user), now=timezone.now()), state=state)
    said = {} if whole is None else {"left_whole": whole, "right_whole": "true"}
    client.force_login(user)
    client.post(reverse("answer-comparison", args=[comparison.pk]), {"choice": "left", "left_ms": "900", **said})
    exposure = Comparison.objects.get().event.exposure
    assert exposure["left_state"] == state
    assert exposure["left_fully_streamed"] == (state == "complete" and whole == "true")
    assert exposure["right_fully_streamed"] == (state == "complete" and whole is not None)


@pytest.mark.parametrize("choice", ["tie", "neither", "skipped"])
def test_without_a_preference_nothing_moves_and_no_strength_is_kept(comparison, choice):
    before = comparison.question.conversation.current_leaf_id
    answered = choose(comparison, choice, strength=2, reasons=["clear"])
    answered.question.conversation.refresh_from_db()
    assert answered.question.conversation.current_leaf_id == before
    assert (answered.strength, answered.reasons) == (None, [])


def test_unfinished_replies_cannot_be_judged_but_skipped(user):
    comparison = comparing.compare(reply=send(user), now=timezone.now())
    with pytest.raises(comparing.BadChoice):
        choose(comparison, "left")
    assert choose(comparison, "skipped").choice == "skipped"


@pytest.mark.parametrize("bad", [{"choice": "middle"}, {"strength": 9}, {"reasons": ["nice"]}, {"comment": "a\0b"}])
def test_nonsense_is_refused_with_nothing_written(comparison, bad):
    with pytest.raises(comparing.BadChoice):
        choose(comparison, **{"choice": "left", **bad})
    assert Comparison.objects.get().choice == ""


def test_it_is_no_longer_asked_when_the_talk_went_on_or_a_reply_failed(comparison, user):
    def asked():
        found = comparing.shown_in(user=user, conversation_id=comparison.question.conversation_id)
        return [one for one in found if one.is_asked]

    assert asked() == [comparison]
    finish(comparison, state="failed")
    assert asked() == []
    finish(comparison)
    sending.send_message(
        user=user,
        conversation=comparison.question.conversation,
        parent=comparison.left,
        content="And another?",
        client_id=uuid.uuid4(),
        now=timezone.now(),
    )
    assert asked() == []


def test_the_page_shows_both_and_takes_the_answer(comparison, client):
    client.force_login(comparison.user)
    address = reverse("conversation", args=[comparison.question.conversation_id])
    page = client.get(address).content.decode()
    assert page.count("data-side=") == 2
    assert "Red." in page
    assert "Blue." in page
    answer = client.post(reverse("answer-comparison", args=[comparison.pk]), {"choice": "right", "strength": "1"})
    assert answer.url == address
    assert "data-side=" not in client.get(address).content.decode()
    assert Comparison.objects.get().choice == "right"


def test_the_api_takes_it_too(comparison, client):
    client.force_login(comparison.user)
    address = reverse("api-comparison", args=[comparison.pk])
    assert client.get(address).json()["choice"] == ""
    choosing = {"choice": "left", "left_whole": True, "right_whole": None}
    answer = client.post(address, choosing, content_type="application/json")
    assert (answer.status_code, answer.json()["choice"]) == (200, "left")
    exposure = Comparison.objects.get().event.exposure
    assert (exposure["left_fully_streamed"], exposure["right_fully_streamed"]) == (True, False)
    assert client.post(address, {"choice": "middle"}, content_type="application/json").status_code == 400


def test_somebody_else_finds_nothing(comparison, client):
    client.force_login(factories.UserFactory())
    assert client.post(reverse("answer-comparison", args=[comparison.pk]), {"choice": "left"}).status_code == 404
    assert client.get(reverse("comparison-side", args=[comparison.pk, "left"])).status_code == 404
    assert client.get(reverse("api-comparison", args=[comparison.pk])).status_code == 404
    body = {"choice": "left"}
    api = client.post(reverse("api-comparison", args=[comparison.pk]), body, content_type="application/json")
    assert api.status_code == 404
    assert Comparison.objects.get().choice == ""


@pytest.mark.parametrize("guess", [f"{'-' * 36}/left", f"{'0' * 36}/left", "{own}/middle", "{own}/LEFT"])
def test_a_guessed_side_is_not_there(comparison, client, guess):
    client.force_login(comparison.user)
    assert client.get(reverse("comparison-side", args=[comparison.pk, "left"])).status_code == 200
    assert client.get(f"/feedback/comparisons/{guess.format(own=comparison.pk)}").status_code == 404
