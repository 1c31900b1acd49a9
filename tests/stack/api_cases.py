"""Requests made from the API's own description, sent to the running product as several people."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import schemathesis
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts import api_keys, belongings
from accounts.models import ApiKey, User
from accounts.webhooks import endpoints, publishing
from billing.models import Plan
from feedback.models import Comparison
from tests import factories, signing_in
from tests.stack.processes import Stack

MARKER = "words-of-ann-alone"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@dataclass
class Asker:
    """Somebody with a key, or nobody; `ids` are put in addresses by the name of their parameter."""

    key: str
    ids: dict[str, str]
    is_owner: bool

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


def description() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


def operations() -> Iterator[Any]:
    for result in schemathesis.openapi.from_dict(description()).get_all_operations():
        yield result.ok()


def ask_everything(asker: Asker, *, url: str, examples: int, forbidden: str) -> int:
    """Sends `examples` requests to every operation; returns how many. Fails on a fault, on an answer that is not as
    described, and when `forbidden` stands in one."""
    sent = 0
    for operation in operations():

        @given(case=operation.as_strategy())
        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def send(case: Any) -> None:
            nonlocal sent
            sent += 1
            _aim(case, asker, is_random=sent % 3 == 0)
            answer = case.call(base_url=url, headers=asker.headers, timeout=60)
            case.validate_response(answer, checks=CHECKS)
            assert forbidden not in answer.text, f"{case.method} {case.path} shows it"

        send()
    return sent


def _aim(case: Any, asker: Asker, *, is_random: bool) -> None:
    """At things that are there, most of the time; and so that the model has little to do."""
    if not is_random and not (asker.is_owner and case.method == "DELETE"):
        known = {name: value for name, value in asker.ids.items() if name in (case.path_parameters or {})}
        case.path_parameters = {**(case.path_parameters or {}), **known}
    if case.path.startswith("/v1/") and isinstance(case.body, dict):
        case.body = {**case.body, "max_tokens": 2, "n": 1}
    if isinstance(case.body, dict) and "client_id" in case.body and not is_random:
        case.body = {**case.body, "client_id": str(uuid.uuid4())}


def ask_as_everybody(stack: Stack, *, examples: int) -> int:
    """Somebody with one of everything, another person and nobody: no fault, nothing shown, nothing changed."""
    Plan.objects.filter(key="free").update(has_api_access=True, messages_per_window=20)
    ann, other = (signing_in.person(f"{name}@example.org") for name in ("ann", "other"))
    ids = _one_of_everything(ann)
    printed_before = len(stack.logs("web"))  # by tests that killed what the web needs
    before, sent = _rows_of(ann), 0
    for asker in (Asker(_key_of(other), ids, is_owner=False), Asker("", ids, is_owner=False)):
        sent += ask_everything(asker, url=stack.url, examples=examples, forbidden=MARKER)
    assert _rows_of(ann) == before, "somebody else changed something"
    owner = Asker(_key_of(ann), ids, is_owner=True)
    sent += ask_everything(owner, url=stack.url, examples=examples, forbidden="no such words")
    assert "Traceback" not in stack.logs("web")[printed_before:]
    return sent


def _one_of_everything(ann: User) -> dict[str, str]:
    reply, now = factories.conversation(ann, (MARKER, MARKER)), timezone.now()
    endpoint = endpoints.create(user=ann, url=f"https://example.invalid/{MARKER}", events=["quota.near"], now=now)[0]
    publishing.send_test(endpoint=endpoint, now=now)
    check = reply.consistency_checks.create(asked_at=now, measured_at=now, compared=1)
    side = factories.reply_to(reply.parent, MARKER)
    said = {"message": reply, "right_text": MARKER, "had_consent": False, "snapshot": {}, "locale": "en"}
    return {
        "check_id": str(check.pk),
        "conversation_id": str(reply.conversation_id),
        "reply_id": str(reply.pk),
        "comparison_id": str(Comparison.objects.create(user=ann, question=reply.parent, left=reply, right=side).pk),
        "correction_id": str(ann.corrections.create(client_event_id=uuid.uuid4(), **said).pk),
        "endpoint_id": str(endpoint.pk),
        "delivery_id": str(endpoint.deliveries.get().pk),
        "name": "smollm2-135m-instruct",
    }


def _key_of(user: User) -> str:
    return api_keys.create(user=user, name="all", scopes=list(ApiKey.Scope.values), now=timezone.now())[1]


def _rows_of(user: User) -> str:
    """All that belongs to a person, but for what the clock does: deliveries that are tried."""
    found = belongings.of(user)
    kept = {label: list(belongings.as_plain_rows(label, rows)) for label, rows in found.items()}
    by_the_clock = {"accounts.webhooktry": "", "accounts.webhookdelivery": "", "accounts.webhookendpoint": ""}
    return json.dumps(kept | by_the_clock, default=str, sort_keys=True)
