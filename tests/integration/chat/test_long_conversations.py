"""A long conversation shows its end, goes back a step at a time, and opens at a message that was found far up."""

import re
from urllib.parse import parse_qsl

import pytest
from django.test import Client
from django.urls import reverse

from chat.views import pages
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def messages(db):
    return factories.long_conversation(factories.UserFactory(), 300)


def shown(messages, **query):
    client = Client()
    client.force_login(messages[0].conversation.user)
    return client.get(reverse("conversation", args=[messages[0].conversation_id]), query).content.decode()


def places(messages, page):
    """The first and the last of the messages that the page shows, in a row and each once."""
    ids = [str(message.pk) for message in messages]
    shown = [ids.index(found) for found in re.findall(r'data-turn="([^"]+)"', page)]
    assert shown == list(range(shown[0], shown[-1] + 1))
    return shown[0], shown[-1]


def query_of(page, label):
    """Where the link with that label leads in the conversation; nothing when there is none."""
    found = re.search(rf'href="[^"?]*\?([^"#]*)#m-[^"]*">{label}<', page)
    return dict(parse_qsl(found[1])) if found else None


@pytest.mark.parametrize(
    ("query", "count"),
    [({}, 80), ({"turns": "160"}, 160), ({"turns": "99999"}, 300), ({"turns": "-1"}, 80), ({"turns": "9" * 40}, 80)],
)
def test_it_shows_its_last_turns_and_more_when_asked(messages, query, count):
    page = shown(messages, **query)
    assert page.count("data-turn=") == count
    assert ("Show earlier messages" in page) == (count < 300)


def test_it_opens_as_far_back_as_the_message_that_is_asked_for(messages):
    page = shown(messages, at=str(messages[100].pk))
    assert page.count("data-turn=") == 200
    assert f'id="m-{messages[100].pk}"' in page


def test_far_up_it_shows_what_stands_around_and_goes_on_in_both_directions(messages, monkeypatch):
    monkeypatch.setattr(pages, "MOST_TURNS", 100)
    page = shown(messages, at=str(messages[120].pk))
    assert places(messages, page) == (40, 199)
    assert f'name="parent" value="{messages[-1].pk}"' in page, "what is said here belongs to the end"
    last = 199
    while query := query_of(page, "Show later messages"):
        page = shown(messages, **query)
        begins, ends = places(messages, page)
        assert begins <= last < ends
        last = ends
    assert last == 299
    first, _last = places(messages, page)
    while query := query_of(page, "Show earlier messages"):
        page = shown(messages, **query)
        begins, ends = places(messages, page)
        assert begins < first <= ends + 1
        first = begins
    assert first == 0


def test_a_page_never_shows_more_than_it_can_carry(messages, monkeypatch):
    monkeypatch.setattr(pages, "MOST_TURNS", 100)
    assert places(messages, shown(messages, turns="99999")) == (200, 299)
    assert places(messages, shown(messages, near=str(messages[0].pk))) == (0, 79)
    assert places(messages, shown(messages, near=str(messages[290].pk))) == (210, 299)


def test_a_script_gets_no_more_than_what_is_below_the_turn_that_it_shows(messages, monkeypatch):
    monkeypatch.setattr(pages, "MOST_TURNS", 100)
    user = messages[0].conversation.user
    client = Client(headers={"X-Requested-With": "fetch"})
    client.force_login(user)
    address = reverse("conversation", args=[messages[0].conversation_id])

    def below(message):
        return client.get(address, {"below": str(message.pk)})

    rest = below(messages[289]).content.decode()
    assert places(messages, rest) == (290, 299)
    assert "Show earlier" not in rest
    assert "Show later" not in rest
    part = below(messages[9]).content.decode()
    assert places(messages, part) == (10, 109)
    assert f'data-later="{messages[-1].pk}"' in part
    assert below(messages[-1]).status_code == 404, "nothing is below the last"
    assert below(factories.long_conversation(user, 2)[0]).status_code == 404
