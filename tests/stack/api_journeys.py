"""Operations of the API one after another, each with the ids that those before it gave, by several people at once.

schemathesis draws the way through the description's links (config/api_links.py). Whoever takes a step is drawn too, so
that what one person made is tried by the others: it must be refused, and no answer may hold the words or an id of
anybody but the one who asks.
"""

from __future__ import annotations

import random
import re
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import schemathesis
from django.contrib.auth.models import Group
from django.utils import timezone
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, HypothesisException
from hypothesis.stateful import initialize
from schemathesis.generation.stateful.state_machine import APIStateMachine, StepInput, StepOutput

from accounts import api_keys
from accounts.models import ApiKey, User
from billing import quota
from billing.models import Customer, Plan, Subscription
from chat.models import Conversation
from config import roles
from feedback.models import Comparison, Release
from tests import factories
from tests.stack.api_cases import CHECKS, description
from tests.stack.processes import Stack

OWNERS = ("ann", "ben")
EVERYBODY = (*OWNERS, "lapsed", "reviewer", "engineer", "admin", "nobody")
WORDS = {"content", "title", "comment", "ideal", "source", "q"}
# OpenAPI has links for parameters; these operations take the id of a reply in their body.
IN_BODIES = {
    **dict.fromkeys(("feedback_create", "feedback_ideal_create", "feedback_copied_create"), "reply"),
    **dict.fromkeys(("v1_feedback_create", "v1_feedback_ideal_create"), "reply"),
    "conversations_messages_create": "parent",
    "conversations_path_create": "message",
}
BEGINNINGS = (
    ("/api/conversations", {"client_id": "", "content": "Say yes."}),
    ("/api/conversations", {"client_id": "", "content": "Say no.", "is_temporary": True}),
    ("/api/webhooks", {"url": "", "events": ["reply.finished", "quota.near"]}),
)
REPLIES = ("conversations_create", "conversations_messages_create", "replies_regenerate_create")
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


@dataclass
class Person:
    name: str
    key: str = ""
    marker: str = field(default_factory=lambda: f"words{uuid.uuid4().hex}")

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def is_let_in(self, operation: str) -> bool:
        """Whether the things of this operation are everybody's who works here, and so this person's."""
        return operation.startswith("v1_model") or (
            operation.startswith("releases") and self.name in ("engineer", "admin")
        )


@dataclass
class Tally:
    """What was asked in a whole run."""

    journeys: int = 0
    requests: int = 0
    taken: int = 0
    refused: int = 0
    operations: set[str] = field(default_factory=set)
    broken: list[BaseException] = field(default_factory=list)


def travel(stack: Stack, *, journeys: int, steps: int) -> Tally:
    """Makes so many journeys. Fails on a fault, an answer that is not as described, and on a thing that is shown to or
    taken from somebody whose it is not."""
    roles.ensure()
    Release.objects.create(version=1, state=Release.State.CANCELLED, finished_at=timezone.now())
    Plan.objects.filter(key="pro").update(max_output_tokens=quota.SMALLEST_REPLY_TOKENS)
    printed_before = len(stack.logs("web"))
    tally = Tally()
    while tally.journeys < journeys:
        machine = seed(tally.journeys)(_journey(stack, tally))
        try:
            machine.run(settings=_settings(journeys - tally.journeys, steps))
        except Flaky as inconsistent:
            # Two journeys that began alike went on differently, as the model was further in one: Hypothesis, which
            # remembers, gives that run up. The next one begins otherwise.
            if tally.broken:
                raise tally.broken[0] from inconsistent
    assert "Traceback" not in stack.logs("web")[printed_before:]
    return tally


def _settings(journeys: int, steps: int) -> settings:
    return settings(
        max_examples=journeys,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def _journey(stack: Stack, tally: Tally) -> type[APIStateMachine]:
    machine: Any = _schema().as_state_machine()

    class Journey(machine):  # type: ignore[misc]
        def setup(self) -> None:
            tally.journeys += 1
            self.people = {name: _newcomer(name) for name in EVERYBODY}
            self.who = self.people["ann"]
            self.acted: dict[str, Person] = {}  # by the id of a step
            self.owners: dict[str, Person] = {}  # by the id of a thing
            for name in OWNERS:
                self._remember(_things_of(self.people[name]), self.people[name])

        @initialize(chance=st.randoms())
        def begin(self, chance: random.Random) -> None:
            """Ann and Ben make something at once: most ways lead on from there."""
            self.chance = chance
            for name, (path, body) in zip(OWNERS, chance.sample(BEGINNINGS, len(OWNERS)), strict=True):
                self.who = self.people[name]
                case = self.schema[path]["POST"].Case(body=dict(body), media_type="application/json")
                self.recorder.record_case(case=case)
                output = self._ask(StepInput.initial(case), maker=None)
                assert output.response.status_code == 201, output.response.text
                self._add_results_to_targets(("catch_all",), [output])

        def step(self, given: StepInput) -> StepOutput:
            maker = self.acted.get(given.transition.parent_id) if given.transition else None
            names = OWNERS if self.chance.random() < 0.6 else EVERYBODY
            self.who = maker if maker and self.chance.random() < 0.5 else self.people[self.chance.choice(names)]
            return self._ask(given, maker=maker if given.is_applied else None)

        def _ask(self, given: StepInput, *, maker: Person | None) -> StepOutput:
            self.acted[given.case.id] = self.who
            _speak(given.case, self.who)
            try:
                output: StepOutput = super().step(given)
                self._judge(output, maker)
            except HypothesisException:  # how it steers
                raise
            except (Exception, BaseExceptionGroup) as broken:  # kept: Hypothesis may not come to the same again
                tally.broken.append(broken)
                raise
            return output

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"base_url": stack.url, "headers": self.who.headers, "timeout": 120}

        def validate_response(self, response: Any, case: Any, additional_checks: Any = None, **kwargs: Any) -> None:
            case.validate_response(response, checks=CHECKS, transport_kwargs=kwargs)

        def _judge(self, output: StepOutput, maker: Person | None) -> None:
            answer, operation = output.response, _name(output.case)
            asked = f"{output.case.method} {output.case.path} as {self.who.name}"
            where = f"{asked}: {answer.status_code} {answer.text[:500]}"
            is_taken = answer.status_code < 300
            tally.requests += 1
            tally.operations.add(operation)
            is_foreign = maker not in (None, self.who) and not self.who.is_let_in(operation)
            if is_foreign:
                assert not is_taken, f"a thing of {maker.name}: {where}"
                tally.refused += 1
            others = [person for person in self.people.values() if person is not self.who]
            assert not [person.name for person in others if person.marker in answer.text], f"foreign words: {where}"
            told = set(UUID.findall(answer.text)) - set(UUID.findall(str(answer.request.url)))
            foreign = [thing for thing in told if self.owners.get(thing, self.who) is not self.who]
            assert not foreign, f"a thing of {self.owners[foreign[0]].name}: {where}"
            if is_taken:
                tally.taken += 1
                if not self.who.is_let_in(operation):
                    self._remember(told, self.who)

        def _remember(self, things: set[str], person: Person) -> None:
            for thing in things:
                self.owners.setdefault(thing, person)

    found: type[APIStateMachine] = Journey
    return found


def _schema() -> Any:
    """The description, with the links that OpenAPI has no words for; schemathesis need not guess any."""
    told = description()
    for operations in told["paths"].values():
        for operation in operations.values():
            if operation["operationId"] in REPLIES:
                links = operation["responses"]["201"]["links"]
                for name, key in IN_BODIES.items():
                    body = {"requestBody": {key: "$response.body#/id"}}
                    links[name] = links.get(name, {"operationId": name}) | body
    made = schemathesis.openapi.from_dict(told)
    made.config.phases.stateful.inference.algorithms = []
    return made


def _speak(case: Any, who: Person) -> None:
    """In this person's own words, a wish that was not made before, and so that the model has little to do."""
    if isinstance(case.body, dict):
        case.body = {
            name: f"{who.marker} {value[:100]}" if name in WORDS and isinstance(value, str) else value
            for name, value in case.body.items()
        }
        for name in {"client_id", "client_event_id"} & set(case.body):
            case.body[name] = str(uuid.uuid4())
        if "quote" in case.body:
            case.body["quote"] = ""
        if "url" in case.body:
            case.body["url"] = f"https://example.invalid/{who.marker}"
        if case.path.startswith("/v1/") and "completions" in case.path:
            case.body |= {"max_tokens": 2, "n": 1}


def _name(case: Any) -> str:
    return str(case.operation.definition.raw["operationId"])


def _newcomer(name: str) -> Person:
    if name == "nobody":
        return Person(name)
    now, number = timezone.now(), uuid.uuid4().hex
    user = User.objects.create_user(f"{name}-{number}@example.org", is_staff=name in ("reviewer", "engineer", "admin"))
    if group := Group.objects.filter(name=name).first():
        user.groups.add(group)
    Subscription.objects.create(
        stripe_id=f"sub_{number}",
        customer=Customer.objects.create(user=user, stripe_id=f"cus_{number}"),
        plan_id="pro",
        status="canceled" if name == "lapsed" else "active",
        quantity=1,
        started_at=now - timedelta(days=90),
        period_end=now + timedelta(days=-1 if name == "lapsed" else 10),
    )
    return Person(name, api_keys.create(user=user, name=name, scopes=list(ApiKey.Scope.values), now=now)[1])


def _things_of(person: Person) -> set[str]:
    """A finished conversation and a choice to make, for which nobody has to wait for the model."""
    owner = api_keys.find(person.key, now=timezone.now()).user
    reply = factories.conversation(owner, (person.marker, person.marker))
    Conversation.objects.filter(pk=reply.conversation_id).update(title=person.marker)
    other = factories.reply_to(reply.parent, person.marker)
    choice = Comparison.objects.create(user=owner, question=reply.parent, left=reply, right=other)
    return {str(thing.pk) for thing in (owner, reply.conversation, reply.parent, reply, other, choice)}
