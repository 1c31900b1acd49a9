"""Asking again in other words, by its pages and as JSON."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Plan, Reservation
from chat.consistency import proposing
from chat.models import ConsistencyCheck, Message, Reply
from tests.integration.chat.consistency.checks import QUESTION, WORDINGS, answered, asked, begun

pytestmark = pytest.mark.django_db


def test_the_page_says_what_it_costs_before_anything_is_asked(client: Client, answer: Message) -> None:
    begin = reverse("begin-consistency-check", args=[answer.conversation_id, answer.pk])
    page = client.post(begin, follow=True)
    assert "Looking for other words" in page.content.decode()
    check = ConsistencyCheck.objects.get()
    proposing.by_rule_alone(check, now=timezone.now())
    text = client.get(reverse("consistency-check", args=[check.pk])).content.decode()
    assert "up to 2 messages of your allowance" in text
    assert text.count('name="wording"') == 2
    assert "by a rule: put as a request" in text
    assert Reservation.objects.count() == 0


def test_what_is_refused_comes_back_as_it_was_written(client: Client, answer: Message) -> None:
    check = begun(answer)
    ask = reverse("ask-in-other-words", args=[check.pk])
    page = client.post(ask, {"wording": ["How tall is it, then?", ""]})
    text = page.content.decode()
    assert page.status_code == 400
    assert "How tall is it, then?" in text
    assert "Eiffel" in text
    assert 'name="anyway"' in text
    assert client.post(ask, {"wording": ["How tall is it, then?", ""], "anyway": "on"}).status_code == 302
    assert Reservation.objects.count() == 1


def test_a_wall_comes_back_with_what_was_written(client: Client, answer: Message) -> None:
    Plan.objects.filter(key="free").update(messages_per_window=1)
    page = client.post(reverse("ask-in-other-words", args=[begun(answer).pk]), {"wording": WORDINGS})
    assert page.status_code == 429
    assert WORDINGS[0] in page.content.decode()


def test_stopping_and_giving_up_from_the_page(client: Client, answer: Message) -> None:
    check = asked(answer)
    client.post(reverse("stop-consistency-check", args=[check.pk]))
    assert Reply.objects.unfinished().exclude(stop_requested_at=None).count() == 2


def test_the_reply_says_that_it_was_asked_in_other_words(client: Client, answer: Message) -> None:
    check = answered(asked(answer), "It is 330 m tall.", "It is 324 metres tall.")
    page = client.get(reverse("conversation", args=[answer.conversation_id])).content.decode()
    assert reverse("consistency-check", args=[check.pk]) in page
    assert "2 of 3 agree" in page


def test_programs_ask_and_read_it(client: Client, answer: Message) -> None:
    url, client_id = reverse("api-consistency-checks", args=[answer.pk]), str(uuid.uuid4())
    wish = {"client_id": client_id, "wordings": WORDINGS}
    made = client.post(url, wish, content_type="application/json")
    assert made.status_code == 201
    assert made.json()["state"] == "asked"
    assert [one["wording"] for one in made.json()["answers"]] == [QUESTION, *WORDINGS]
    assert client.post(url, wish, content_type="application/json").json()["id"] == made.json()["id"]
    answered(ConsistencyCheck.objects.get(), "It is 330 m tall.", "It is 324 metres tall.")
    read = client.get(reverse("api-consistency-check", args=[made.json()["id"]])).json()
    assert (read["state"], read["agreeing"], read["compared"]) == ("measured", 2, 3)
    assert read["matters"][0]["kinds"] == ["figures"]
    assert [one["id"] for one in client.get(url).json()] == [read["id"]]
    refused = client.post(
        url, {"client_id": str(uuid.uuid4()), "wordings": ["How tall?"]}, content_type="application/json"
    )
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "bad_wordings"
    by_rule = client.post(url, {"client_id": str(uuid.uuid4())}, content_type="application/json").json()
    assert by_rule["answers"][1]["wording"] == "Please tell me how tall the Eiffel Tower is."
