"""Replies as long as a test needs: a model may end what it samples after a word, unless it may not choose the end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.db import connection

from billing.models import Plan
from tests.stack.processes import Stack

# What the default model ends a reply or a turn with: it has these seventeen tokens that are not text.
CONTROL_TOKENS = range(17)
NO_END = {"logit_bias": {str(token): -100 for token in CONTROL_TOKENS}}
# Without an end a small model goes round in circles, which the worker would notice and stop.
NO_CIRCLES = {"frequency_penalty": 0.3}
LIKELIEST = {**NO_END, **NO_CIRCLES, "temperature": 0}
# More than any test waits for; who asks for such replies stops them, or loses them with the tables.
ENDLESS_TOKENS = 4000

_TRIGGER = """
CREATE FUNCTION tests_write_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.sampling = NEW.sampling || %s::jsonb; RETURN NEW; END $$;
CREATE TRIGGER tests_write_on BEFORE INSERT ON chat_reply FOR EACH ROW EXECUTE FUNCTION tests_write_on();
"""


@pytest.fixture
def long_replies(stack: Stack) -> Iterator[int]:
    """Every reply has as many tokens as its plan and its conversation allow: this many, or what the test sets.

    A trigger in the test database adds it to the sampling of each reply, which the real worker and model then follow.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TRIGGER, [json.dumps({**NO_END, **NO_CIRCLES})])
    yield Plan.objects.values_list("max_output_tokens", flat=True)[0]
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION tests_write_on CASCADE")


@pytest.fixture
def likeliest_replies(long_replies: int) -> None:
    """Long ones of the likeliest tokens: those are cut as the tokenizer cuts the text, so that it counts as many."""
    with connection.cursor() as cursor:
        cursor.execute(_TRIGGER.replace("CREATE ", "CREATE OR REPLACE "), [json.dumps(LIKELIEST)])


@pytest.fixture
def endless_replies(long_replies: int) -> None:
    """Every reply goes on until it is stopped."""
    Plan.objects.update(max_output_tokens=ENDLESS_TOKENS)
