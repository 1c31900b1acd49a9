"""Kill a process in the middle of a reply: the person ends up with one whole reply, metered once."""

import json
import time
import uuid

import httpx
import pytest
import redis

from accounts.models import User
from billing import quota
from billing.models import Reservation
from chat import streams
from chat.models import Clarification, Message, Reply
from chat.rendering import render_blocks
from tests.signing_in import headers_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

LONG = "Write a long story about a fox who opens a bakery. Then list ten things it bakes."


class Reader:
    """A browser that follows one reply and comes back whenever the connection breaks."""

    def __init__(self, stack, user):
        self.client = httpx.Client(base_url=stack.url, headers=headers_of(user, stack.url), timeout=30)
        self.blocks = {}
        self.states = []
        self.last_event_id = ""
        self.end = None

    def ask(self, text, **more):
        answer = self.client.post("/api/conversations", json={"client_id": str(uuid.uuid4()), "content": text, **more})
        assert answer.status_code == 201, answer.text
        self.reply = answer.json()
        return self.reply["id"]

    def ask_and_follow(self, text, *, until=lambda _reader: False):
        """Ask as the page does: the reply's events come in the answer itself."""
        wish = {"client_id": str(uuid.uuid4()), "content": text, "stream": True}
        with self.client.stream("POST", "/api/conversations", json=wish) as answer:
            assert answer.status_code == 201
            self._read(answer, until)

    def follow(self, *, until=lambda _reader: False, seconds=90):
        """Read events, reconnecting as a browser does, until the end or until `until(self)`."""
        give_up_at = time.monotonic() + seconds
        while self.end is None and time.monotonic() < give_up_at:
            try:
                headers = {"Last-Event-ID": self.last_event_id} if self.last_event_id else {}
                with self.client.stream("GET", self.reply["events_url"], headers=headers) as answer:
                    if self._read(answer, until):
                        return
            except httpx.HTTPError:
                time.sleep(0.3)  # a browser waits as well before it reconnects
        assert self.end is not None, "the reply did not end in time"

    def _read(self, answer, until):
        name = ""
        for line in answer.iter_lines():
            field, _colon, value = line.partition(": ")
            if field == "id":
                self.last_event_id = value
            elif field == "event":
                name = value
            elif field == "data":
                self._take(name, json.loads(value))
                if until(self) or self.end is not None:
                    return True
        return False

    def _take(self, name, data):
        if name == "sent":
            self.reply = data
        elif name == "block":
            self.blocks[data["index"]] = data["html"]
        elif name == "state":
            self.states.append(data["state"])
        elif name == "end":
            self.end = data

    @property
    def html(self):
        return [html for _index, html in sorted(self.blocks.items()) if html]


def some_text(reader):
    return sum(map(len, reader.html)) > 60


@pytest.fixture
def reader(stack):
    return Reader(stack, User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery"))


def assert_whole_and_metered_once(reader):
    reply = Reply.objects.select_related("message").get(pk=reader.reply["id"])
    assert reply.state == "complete"
    assert reader.html == render_blocks(reply.message.content)
    assert 0 < reply.completion_tokens <= reply.max_tokens
    assert Message.objects.filter(conversation=reply.message.conversation, role="assistant").count() == 1
    allowance = quota.allowance_of(reply.user, now=reply.finished_at)
    assert allowance.used == 1
    (paid,) = Reservation.objects.filter(user=reply.user)
    assert (paid.state, paid.request_id) == ("settled", reply.pk)
    return reply


@pytest.mark.parametrize("victim", ["worker", "inference", "web"])
def test_a_reply_survives_the_death_of(stack, reader, likeliest_replies, victim):
    reply_id = reader.ask(LONG)
    reader.follow(until=some_text)
    shown = stream_of(stack, reply_id)
    assert Reply.objects.get(pk=reply_id).state == "running"
    stack.kill(victim)
    stack.restart(victim)
    reader.follow()
    reply = assert_whole_and_metered_once(reader)
    assert shown
    assert reply.message.content.startswith(shown), "it began anew"
    assert reply.attempts == (2 if victim == "worker" else 1)
    # At the seam, where the text was cut into tokens anew, and for the one that ends it.
    assert abs(reply.completion_tokens - tokens_of(stack, reply)) <= 3, "a part was counted twice"


def stream_of(stack, reply_id):
    """The text that was shown so far."""
    with redis.Redis.from_url(stack.env["VALKEY_URL"], decode_responses=True) as valkey:
        return valkey.get(streams.Keys(uuid.UUID(reply_id))["text"])


def tokens_of(stack, reply):
    wanted = {"model": reply.model, "prompt": reply.message.content}
    return httpx.post(f"{stack.inference_url}/tokenize", json=wanted, timeout=30).raise_for_status().json()["count"]


def test_a_long_question_waits_for_a_model_that_is_away_when_its_turn_comes(stack, reader):
    """Whether it fits, and with how many turns, only the model's tokenizer can tell."""
    stack.kill("inference")
    reader.ask("Are you there? " * 600)
    stack.restart("inference")
    reader.follow()
    assert_whole_and_metered_once(reader)


def test_a_stop_that_valkey_did_not_hear_is_heard_from_the_database(stack, reader, endless_replies):
    reply_id = reader.ask(LONG)
    reader.follow(until=some_text)
    stack.kill("valkey")
    assert reader.client.post(f"/api/replies/{reply_id}/stop").status_code == 202
    stack.restart("valkey")
    reader.follow()
    assert Reply.objects.get(pk=reply_id).state == "stopped"


@pytest.mark.parametrize("victim", ["worker", "inference"])
def test_a_question_survives_the_death_while_it_is_thought_of(stack, reader, victim):
    reader.ask("Tell me about Mercury.", asks_first=True)
    reader.follow(until=lambda reader: "deciding" in reader.states)
    stack.kill(victim)
    stack.restart(victim)
    reader.follow()
    assert_whole_and_metered_once(reader)
    asked = Clarification.objects.get()
    assert reader.end["finish_reason"] == "clarification"
    assert reader.html == render_blocks("\n".join([asked.question, "", *(f"- {one}" for one in asked.options)]))


def test_stopping_while_it_is_thought_of_costs_nothing(stack, reader):
    reply_id = reader.ask("Tell me about Mercury.", asks_first=True)
    reader.follow(until=lambda reader: "deciding" in reader.states)
    assert reader.client.post(f"/api/replies/{reply_id}/stop").status_code == 202
    reader.follow()
    reply = Reply.objects.get(pk=reply_id)
    assert reply.state == "stopped"
    assert not Clarification.objects.exists()
    assert quota.allowance_of(reply.user, now=reply.finished_at).used == 0


def test_a_reply_survives_the_death_of_valkey(stack, reader, long_replies):
    reader.ask(LONG)
    reader.follow(until=some_text)
    stack.kill("valkey")
    stack.restart("valkey")
    reader.follow()
    assert_whole_and_metered_once(reader)


def test_stop_keeps_what_is_there_and_frees_the_slot_at_once(stack, reader, endless_replies):
    reply_id = reader.ask(LONG)
    reader.follow(until=some_text)
    began = time.monotonic()
    assert reader.client.post(f"/api/replies/{reply_id}/stop").status_code == 202
    reader.follow()
    assert time.monotonic() - began < 2
    reply = Reply.objects.select_related("message").get(pk=reply_id)
    assert reply.state == "stopped"
    assert reader.html == render_blocks(reply.message.content)
    assert reply.completion_tokens < reply.max_tokens
    assert reply.model_version


def test_a_connection_that_drops_again_and_again_misses_nothing(stack, reader, long_replies):
    reader.ask(LONG)
    drops = 0
    while reader.end is None and drops < 40:
        seen = dict(reader.blocks)
        reader.follow(until=lambda reader, seen=seen: reader.blocks != seen)
        drops += 1
    reader.follow()
    assert drops > 5
    assert_whole_and_metered_once(reader)


def test_the_answer_to_a_message_carries_its_reply(reader):
    reader.ask_and_follow(LONG)
    assert_whole_and_metered_once(reader)


def test_an_answer_that_breaks_off_is_gone_on_with(reader, long_replies):
    reader.ask_and_follow(LONG, until=some_text)
    assert reader.end is None
    reader.follow()
    assert_whole_and_metered_once(reader)


def test_two_windows_show_the_same_reply(stack, reader, long_replies):
    reader.ask(LONG)
    reader.follow(until=some_text)
    second = Reader(stack, User.objects.get(replies=reader.reply["id"]))
    second.reply = reader.reply
    second.follow()
    reader.follow()
    assert second.html == reader.html
