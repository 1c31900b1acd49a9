"""Which do you prefer? The answer is changed and taken back at any time: one stands, and all are kept."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import ConsentEvent
from chat.models import Conversation, Message, Reply
from feedback import comparing
from feedback.models import Comparison, ComparisonEvent
from tests import factories
from tests.integration.feedback.test_comparisons_in_releases import shown

pytestmark = pytest.mark.django_db

LINES = {
    "left": "You preferred this one of two replies.",
    "right": "You preferred this one of two replies.",
    "tie": "You found two replies about the same.",
    "neither": "You found both of two replies bad.",
}
CHANGE, TAKE_BACK = "Change", "Take it back"


@pytest.fixture
def comparison():
    left = factories.conversation(factories.consenting_user(), ("Name a colour.", "Red."))
    return shown(left, factories.reply_to(left.parent, "Blue."))


def choose(comparison, choice, **more):
    return comparing.answer(
        comparison_id=comparison.pk, user=comparison.user, choice=choice, now=timezone.now(), **more
    )


def take_back(comparison, event_id=None):
    return comparing.withdraw(
        comparison_id=comparison.pk, user=comparison.user, client_event_id=event_id, now=timezone.now()
    )


def history(comparison):
    return list(comparison.events.order_by("created_at").values_list("kind", "choice"))


def signed_in(client, comparison):
    client.force_login(comparison.user)
    return client


def page(client, comparison, **asked):
    address = reverse("conversation", args=[comparison.question.conversation_id])
    return signed_in(client, comparison).get(address, asked).content.decode()


def go_on(comparison, below):
    said = Message.objects.create(
        conversation=comparison.question.conversation, parent=below, role="user", content="And another?"
    )
    Conversation.objects.filter(pk=said.conversation_id).update(current_leaf=factories.reply_to(said, "Green."))


def test_a_choice_can_be_changed_and_every_one_is_kept(comparison):
    first = choose(comparison, "left", strength=3, reasons=["clear"], comment="Shorter.")
    second = choose(comparison, "right", strength=1)
    assert (second.choice, second.strength, second.reasons, second.comment) == ("right", 1, [], "")
    assert first.event != second.event
    assert history(comparison) == [("answer", "left"), ("answer", "right")]
    kept = ComparisonEvent.objects.get(pk=first.event_id)
    assert (kept.strength, kept.reasons, kept.comment, kept.had_consent) == (3, ["clear"], "Shorter.", True)
    assert set(kept.snapshots) == {"left", "right"}
    comparison.question.conversation.refresh_from_db()
    assert comparison.question.conversation.current_leaf_id == comparison.right_id


def test_a_choice_that_is_taken_back_no_longer_stands_and_may_be_made_again(comparison):
    choose(comparison, "left", strength=2)
    taken = take_back(comparison)
    assert (taken.choice, taken.strength, taken.event, taken.answered_at) == ("", None, None, None)
    assert take_back(comparison).choice == ""
    assert history(comparison) == [("answer", "left"), ("retract", "")]
    assert choose(comparison, "tie").choice == "tie"


def test_what_stands_sent_again_without_an_id_is_the_same_event(comparison):
    for _time in range(2):
        choose(comparison, "left", strength=2, reasons=["clear", "correct"])
    assert len(history(comparison)) == 1
    choose(comparison, "left", strength=3, reasons=["clear", "correct"])
    assert len(history(comparison)) == 2


def test_a_late_repeat_undoes_nothing_newer(comparison):
    chosen, taken = uuid.uuid4(), uuid.uuid4()
    choose(comparison, "left", client_event_id=chosen)
    assert choose(comparison, "left", client_event_id=chosen).choice == "left"
    choose(comparison, "right")
    assert choose(comparison, "left", client_event_id=chosen).choice == "right"
    take_back(comparison, taken)
    assert choose(comparison, "left", client_event_id=chosen).choice == ""
    choose(comparison, "tie")
    assert take_back(comparison, taken).choice == "tie"
    assert [choice for _kind, choice in history(comparison)] == ["left", "right", "", "tie"]


def test_a_withdrawal_that_came_before_the_answer_takes_it_not_back(comparison):
    event_id = uuid.uuid4()
    take_back(comparison, event_id)
    choose(comparison, "left")
    assert take_back(comparison, event_id).choice == "left"


@pytest.mark.parametrize("other", [{"choice": "right"}, {"strength": 1}, {"comment": "Red is warm."}])
def test_an_id_that_was_sent_before_with_something_else_is_refused(comparison, other):
    event_id = uuid.uuid4()
    choose(comparison, "left", client_event_id=event_id)
    with pytest.raises(comparing.BadChoice):
        choose(comparison, **{"choice": "left", "client_event_id": event_id, **other})
    with pytest.raises(comparing.BadChoice):
        take_back(comparison, event_id)
    elsewhere = factories.conversation(comparison.user, ("Name a tree.", "Oak."))
    with pytest.raises(comparing.BadChoice):
        choose(shown(elsewhere, factories.reply_to(elsewhere.parent, "Elm.")), "left", client_event_id=event_id)
    assert (history(comparison), ComparisonEvent.objects.count()) == ([("answer", "left")], 1)


@pytest.mark.django_db(transaction=True)
def test_the_same_event_sent_many_times_at_once_is_one(alone, comparison):
    event_id = uuid.uuid4()

    def send(_number):
        try:
            return choose(comparison, "left", client_event_id=event_id).choice
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(8))) == {"left"}
    assert history(comparison) == [("answer", "left")]


def test_the_database_refuses_to_change_what_was_answered(comparison):
    choose(comparison, "left")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        ComparisonEvent.objects.update(choice="right")


def test_the_database_refuses_to_delete_what_was_answered(comparison):
    choose(comparison, "left")
    take_back(comparison)
    with pytest.raises(DatabaseError, match="keeps its rows"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; DELETE FROM feedback_comparisonevent")


@pytest.mark.parametrize("gone", ["question", "left", "user"])
def test_an_answer_goes_with_what_it_is_about_and_whose_it_is(comparison, gone):
    choose(comparison, "left")
    getattr(comparison, gone).delete()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert not Comparison.objects.exists()
    assert not ComparisonEvent.objects.exists()


@pytest.mark.parametrize("name", ["left", "right", "drawn_at"])
def test_the_database_refuses_to_draw_anew(comparison, name):
    other = {
        "left": factories.reply_to(comparison.question, "Green."),
        "right": factories.reply_to(comparison.question, "Green."),
        "drawn_at": timezone.now(),
    }
    with pytest.raises(DatabaseError, match="drawn once"), transaction.atomic():
        Comparison.objects.update(**{name: other[name]})


@pytest.mark.parametrize("choice", LINES)
def test_the_page_says_what_was_chosen_and_how_to_change_it(comparison, client, choice):
    choose(comparison, choice)
    text = page(client, comparison)
    assert "data-side=" not in text
    for said in (LINES[choice], CHANGE, TAKE_BACK):
        assert said in text
    assert page(client, comparison, at=comparison.left_id).count('class="compared"') == 1
    other = comparison.right_id if choice == "left" else comparison.left_id
    if choice in ("left", "right"):
        assert "You preferred the other one of two replies." in page(client, comparison, at=other)


def test_nothing_is_said_before_it_is_answered_nor_beneath_another_reply(comparison, client):
    assert 'class="compared"' not in page(client, comparison)
    choose(comparison, "left")
    third = factories.reply_to(comparison.question, "Green.")
    assert 'class="compared"' not in page(client, comparison, at=third.pk)


def test_both_sides_are_shown_again_with_what_was_chosen(comparison, client):
    choose(comparison, "right", strength=2, reasons=["clear"], comment="Cooler.")
    text = page(client, comparison, compare=comparison.pk)
    assert text.count("data-side=") == 2
    for said in ('value="right" aria-pressed="true"', 'value="2" checked', 'value="clear" checked', ">Cooler.<"):
        assert said in text
    assert text.count(" checked>") == 2
    assert 'value="skipped"' not in text
    assert "data-side=" not in page(client, comparison, compare=uuid.uuid4())


def test_a_choice_is_changed_and_taken_back_on_the_page_also_where_the_talk_went_on(comparison, client):
    choose(comparison, "left")
    go_on(comparison, comparison.left)
    signed_in(client, comparison)
    answer = client.post(reverse("answer-comparison", args=[comparison.pk]), {"choice": "right"})
    text = client.get(answer.url).content.decode()
    assert f"#m-{comparison.question_id}" in answer.url
    assert "You preferred the other one of two replies." in text
    assert "Green." in text, "what was said below stays on the page"
    assert page(client, comparison, compare=comparison.pk).count("data-side=") == 2
    client.post(reverse("take-choice-back", args=[comparison.pk]))
    text = page(client, comparison)
    assert "data-side=" not in text, "whoever took it back is not asked again"
    assert "You have not said which of two replies you prefer." in text
    assert page(client, comparison, compare=comparison.pk).count("data-side=") == 2
    assert Comparison.objects.get().choice == ""


def test_the_form_of_a_page_sent_twice_is_one_event_and_changed_it_is_another(comparison, client):
    signed_in(client, comparison)
    form = {"client_event_id": str(uuid.uuid4())}
    for choice in ("left", "left", "right", "left"):
        client.post(reverse("answer-comparison", args=[comparison.pk]), {**form, "choice": choice})
    assert history(comparison) == [("answer", "left"), ("answer", "right")]


def test_one_that_was_skipped_is_not_asked_again_and_can_be_answered_later(comparison, client):
    choose(comparison, "skipped")
    text = page(client, comparison)
    assert "data-side=" not in text
    assert "Compare them" in text
    assert TAKE_BACK not in text
    client.post(reverse("answer-comparison", args=[comparison.pk]), {"choice": "left"})
    assert LINES["left"] in page(client, comparison)


def test_one_that_was_skipped_while_it_was_written_is_left_alone(comparison, client):
    choose(comparison, "skipped")
    Reply.objects.filter(pk=comparison.right_id).update(state="stopped")
    assert 'class="compared"' not in page(client, comparison)
    assert "data-side=" not in page(client, comparison, compare=comparison.pk)


def test_a_page_that_the_browser_kept_takes_back_nothing_newer_and_says_nothing_untrue(comparison, client):
    address, form = reverse("take-choice-back", args=[comparison.pk]), {"client_event_id": uuid.uuid4()}
    choose(comparison, "left")
    signed_in(client, comparison)
    assert "Your choice is taken back." in client.post(address, form, follow=True).content.decode()
    choose(comparison, "right")
    assert "Your choice is taken back." not in client.post(address, form, follow=True).content.decode()
    of_an_answer = {"client_event_id": comparison.events.filter(kind="answer").first().client_event_id}
    assert "sent before with something else" in client.post(address, of_an_answer, follow=True).content.decode()
    assert history(comparison)[-1] == ("answer", "right")


def test_somebody_else_changes_nothing(comparison, client):
    choose(comparison, "left")
    client.force_login(factories.UserFactory())
    for name in ("take-choice-back", "allow-use-of-choice", "answer-comparison"):
        said = {"choice": "right", "training_consent": "no"}
        assert client.post(reverse(name, args=[comparison.pk]), said).status_code == 404
    assert history(comparison) == [("answer", "left")]


def test_use_is_allowed_and_refused_beneath_the_choice(comparison, client):
    choose(comparison, "left")
    assert "May be used to improve the model: reviewers may read your choice" in page(client, comparison)
    client.post(reverse("allow-use-of-choice", args=[comparison.pk]), {"training_consent": "no"})
    text = page(client, comparison)
    assert "Not used to improve the model." in text
    assert "Allow it for this choice" in text
    client.post(reverse("allow-use-of-choice", args=[comparison.pk]), {"training_consent": "yes"})
    assert "Do not use this choice" in page(client, comparison)


def test_what_is_never_used_cannot_be_allowed_by_a_form_that_its_page_does_not_have(comparison, client):
    signed_in(client, comparison)
    type(comparison.question.conversation).objects.update(is_temporary=True)
    before = ConsentEvent.objects.count()
    for name, subject in (("allow-use-of-choice", comparison.pk), ("allow-use", comparison.left_id)):
        assert client.post(reverse(name, args=[subject]), {"training_consent": "yes"}).status_code == 404
    assert ConsentEvent.objects.count() == before
