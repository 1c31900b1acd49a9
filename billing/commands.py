"""What we ask Stripe to do, each wish a row that outlives a crash.

`run` writes the row, asks, and writes the answer. The row's key goes to Stripe with the request, so asking again after
a crash or a lost answer returns what the first time made. Before any second attempt we look whether the first one left
its object, because Stripe repeats a saved error for a key as faithfully as a saved success, and forgets keys after a
day. `run_waiting` ends what a crash left open.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import CharField, QuerySet, Value
from django.db.models.functions import Cast, Concat

from accounts.models import User
from billing import mirror, stripe, trials, turns
from billing.models import Customer, StripeCommand
from billing.operations import DELETION, OPERATIONS, REFUND, UNHEARD, Values

FIRST_RETRY = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
KEY_IS_KEPT = timedelta(hours=23)
# For how long a wish that costs money is tried again by itself. Who is told that there was no answer may think better.
CHARGE_IS_WANTED = timedelta(minutes=10)
SUPERSEDED, LEFT, UNWANTED = NEVER_AGAIN = ("superseded", "left", "unwanted")
FORGOTTEN = "forgotten:"
FAILED = (StripeCommand.State.DEAD, StripeCommand.State.REFUSED)
# A request that was on its way when the person left has been answered by then, and what it made is in Stripe's lists.
ON_ITS_WAY = timedelta(minutes=5)


class CommandRefused(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """Stripe says no for good; `code` is Stripe's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def run(*, kind: str, key: str, user: User | None, parameters: Values, now: datetime) -> Values:
    """Do it now and return what Stripe made; the same `key` returns the same, and what was given up or refused is tried
    again, when what it may have made has been looked for.

    Raises `CommandRefused`, and `stripe.StripeUnavailable` when it stays in the queue to be tried again.
    """
    command, _is_new = StripeCommand.objects.get_or_create(
        key=key,
        defaults={
            "kind": kind,
            "user": user,
            "parameters": parameters,
            "created_at": now,
            "next_attempt_at": now + FIRST_RETRY,
        },
    )
    if command.state in FAILED:
        if not _revive(StripeCommand.objects.filter(pk=command.pk), now + FIRST_RETRY):
            raise stripe.StripeUnavailable("Somebody else asks for the same at this moment.")
        command.refresh_from_db()
    if command.state == StripeCommand.State.WAITING:
        execute(command, now=now)
    if command.state == StripeCommand.State.DONE:
        return dict(command.result)
    raise CommandRefused(command.error_code)


def supersede(subscription_id: str, *, wish: str, now: datetime) -> bool:
    """End what still waits of earlier wishes about the subscription: done late, it would undo the newest one.

    Call it in the subscription's turn (`billing.turns`), in which none of them is under way. Returns whether one of
    them may have been heard, so that more may have changed than we know.
    """
    with transaction.atomic():
        waiting = StripeCommand.objects.select_for_update().filter(
            state=StripeCommand.State.WAITING, parameters__subscription=subscription_id
        )
        earlier = [command for command in waiting if not command.key.endswith(f":{wish}")]
        for command in earlier:
            _finish(command, StripeCommand.State.DEAD, now, error="Another wish came after it.", code=SUPERSEDED)
    return any(command.attempts for command in earlier)


def delete_customer(stripe_id: str, *, now: datetime) -> None:
    """Have Stripe delete the customer, by the clock and asked for once; that ends the subscriptions too."""
    values = {"kind": DELETION, "parameters": {"customer": stripe_id}, "created_at": now, "next_attempt_at": now}
    StripeCommand.objects.get_or_create(key=f"delete-customer:{stripe_id}", defaults=values)


def set_locale(customer: Customer, locale: str, *, now: datetime) -> None:
    """Have Stripe write to the customer in another language, by the clock; asked once for what we know of them."""
    values = {
        "kind": "update_customer",
        "user": customer.user,
        "parameters": {"customer": customer.stripe_id, "change": {"preferred_locales": [locale]}},
        "created_at": now,
        "next_attempt_at": now,
    }
    key = f"locale:{customer.stripe_id}:{customer.fence}:{locale}"
    StripeCommand.objects.get_or_create(key=key, defaults=values)


def retry_deletions(*, now: datetime) -> int:
    """Ask again for customers to be deleted where that was given up: nobody else asks for somebody who has left, and
    their card would go on being charged. Returns how many there are."""
    return _revive(StripeCommand.objects.filter(kind__in=[DELETION, UNHEARD]), now)


def replay(chosen: QuerySet[StripeCommand], *, now: datetime) -> int:
    """Let those wait again that were given up or refused; returns how many. Not what a newer wish about the same
    subscription has replaced, nor what nobody wants any more: it would come true after all."""
    failed = chosen.filter(state__in=FAILED).exclude(error_code__in=NEVER_AGAIN).exclude(key__startswith=FORGOTTEN)
    wanted = [command.pk for command in failed if not _is_replaced(command)]
    return _revive(StripeCommand.objects.filter(pk__in=wanted), now)


def _is_replaced(command: StripeCommand) -> bool:
    subscription_id = command.parameters.get("subscription")
    later = StripeCommand.objects.filter(parameters__subscription=subscription_id, created_at__gt=command.created_at)
    return bool(subscription_id) and later.exists()


def _revive(commands: QuerySet[StripeCommand], at: datetime) -> int:
    """Let those wait again that were given up or refused. What they may have made is looked for first, as always."""
    failed = commands.filter(state__in=FAILED)
    return failed.update(state=StripeCommand.State.WAITING, finished_at=None, next_attempt_at=at)


def end_for(user: User, *, now: datetime) -> None:
    """Ask nothing more for somebody who leaves: no upgrade is to be paid, and nobody is to become a customer.

    Only money that staff give back still goes back. What a request may have made that we heard no answer to is deleted
    by a command of its own, which knows no more than the id of the one that asked.
    """
    waiting = StripeCommand.objects.select_for_update().filter(user=user, state=StripeCommand.State.WAITING)
    for command in waiting.exclude(kind=REFUND):
        if command.kind == "create_customer" and command.attempts:
            _delete_unheard(command, now)
        _finish(command, StripeCommand.State.DEAD, now, error="The person has left.", code=LEFT)
    for customer_id in _unknown_customers(user):
        delete_customer(customer_id, now=now)
    forget(StripeCommand.objects.filter(user=user).exclude(state=StripeCommand.State.WAITING))


def made_for(user: User, *, kind: str) -> set[str]:
    """The ids of what commands of this kind made for the person."""
    made = StripeCommand.objects.filter(user=user, kind=kind, state=StripeCommand.State.DONE)
    return {command.result["id"] for command in made if command.result.get("id")}


def _unknown_customers(user: User) -> list[str]:
    """Those that were made, and of which a crash kept no row."""
    ids = made_for(user, kind="create_customer")
    return sorted(ids.difference(Customer.objects.filter(stripe_id__in=ids).values_list("stripe_id", flat=True)))


def _delete_unheard(command: StripeCommand, now: datetime) -> None:
    window = {"since": (command.created_at - ON_ITS_WAY).timestamp(), "until": (now + ON_ITS_WAY).timestamp()}
    StripeCommand.objects.create(
        kind=UNHEARD,
        key=f"delete-unheard:{command.id}",
        parameters={"made_by": str(command.id), **window},
        created_at=now,
        next_attempt_at=now + ON_ITS_WAY,
    )


def forget(ended: QuerySet[StripeCommand]) -> None:
    """Leave of ended commands that there were some of their kind; most keys were made of a person's id."""
    ended.update(key=Concat(Value(FORGOTTEN), Cast("id", CharField())), parameters={}, result={})


def is_done(key: str) -> bool:
    return StripeCommand.objects.filter(key=key, state=StripeCommand.State.DONE).exists()


def id_of(key: str) -> str:
    """The id of the command with this key, which what it made at Stripe carries; empty when there is none yet."""
    return str(StripeCommand.objects.filter(key=key).values_list("id", flat=True).first() or "")


def execute(command: StripeCommand, *, now: datetime, is_wanted: bool = True) -> None:
    """One attempt; what is not wanted any more is only looked for. Raises `stripe.StripeUnavailable` when it has to be
    tried again."""
    operation = OPERATIONS[command.kind]
    _count_attempt(command, now)
    try:
        found = operation.find(command.parameters, str(command.id)) if operation.find and command.attempts > 1 else None
        if not found and not is_wanted:
            why = "Nobody waits for it any more, and it would cost money."
            _finish(command, StripeCommand.State.DEAD, now, error=why, code=UNWANTED)
            return
        key = _key(command, now)
        result = found or operation.perform(_signed(command), key)
        if operation.then:
            operation.then(command.parameters, key, now)
    except stripe.StripeRefused as refused:
        _finish(command, StripeCommand.State.REFUSED, now, error=str(refused), code=refused.code)
    except stripe.StripeUnavailable as unavailable:
        command.error = str(unavailable)
        command.error_code = "server_error" if unavailable.is_server_error else "unreachable"
        if command.attempts >= StripeCommand.MAX_ATTEMPTS:
            _finish(command, StripeCommand.State.DEAD, now, error=command.error, code=command.error_code)
        else:
            command.save(update_fields=["error", "error_code"])
        raise
    else:
        _finish(command, StripeCommand.State.DONE, now, result=result)


def run_waiting(*, now: datetime, at_most: int = 100) -> int:
    """Try again what is due; returns how many came to an end."""
    ended = 0
    for _turn in range(at_most):
        command = _claim(now)
        if command is None:
            break
        try:
            ended += try_again(command, now)
        except stripe.StripeUnavailable:
            continue
    return ended


def try_again(command: StripeCommand, now: datetime) -> bool:
    """Whether it came to an end. What is about a subscription has its turn, and may be superseded until then; what
    gives back the money that `paid_for` one has its turn too, and nobody's later wish undoes it."""
    subscription_id = command.parameters.get("subscription") or command.parameters.get("paid_for")
    if not subscription_id:
        execute(command, now=now, is_wanted=_is_wanted(command, now))
        return True
    try:
        with turns.if_free(subscription_id) as has_turn:
            return has_turn and _try_in_turn(command, subscription_id, now)
    except turns.NotYourTurn:  # it lapsed, and somebody has wished something newer
        return False


def _try_in_turn(command: StripeCommand, subscription_id: str, now: datetime) -> bool:
    command.refresh_from_db()
    if command.state != StripeCommand.State.WAITING:
        return False
    execute(command, now=now, is_wanted=_is_wanted(command, now))
    # Whoever wishes something next goes by what is true now.
    with suppress(stripe.StripeUnavailable, stripe.StripeRefused):
        mirror.refresh_subscription(subscription_id, cause="a wish that had waited", now=now)
    return True


def _is_wanted(command: StripeCommand, now: datetime) -> bool:
    if command.key.startswith(trials.REFUSED):  # who has paid by now keeps what was paid for
        subscription = mirror.refresh_subscription(command.parameters["subscription"], cause="a refused trial", now=now)
        return subscription is not None and subscription.is_trial_refused
    is_charged = command.parameters.get("change", {}).get("proration_behavior") == "always_invoice"
    return not is_charged or now - command.created_at <= CHARGE_IS_WANTED


@transaction.atomic
def _claim(now: datetime) -> StripeCommand | None:
    due = StripeCommand.objects.filter(state=StripeCommand.State.WAITING, next_attempt_at__lte=now)
    command = due.select_for_update(skip_locked=True).order_by("next_attempt_at").first()
    if command:
        command.next_attempt_at = now + FIRST_RETRY
        command.save(update_fields=["next_attempt_at"])
    return command


def _count_attempt(command: StripeCommand, now: datetime) -> None:
    """Written before asking, so that whoever comes after a crash knows that there was an attempt."""
    command.attempts += 1
    command.next_attempt_at = now + min(FIRST_RETRY * 2 ** (command.attempts - 1), LONGEST_WAIT)
    command.save(update_fields=["attempts", "next_attempt_at"])


def _key(command: StripeCommand, now: datetime) -> str:
    """The row's key, or a fresh one when the old one would only repeat an error or has been forgotten."""
    is_spent = command.error_code not in ("", "unreachable") or now - command.created_at > KEY_IS_KEPT
    return f"{command.key}:{command.attempts}" if is_spent else command.key


def _signed(command: StripeCommand) -> Values:
    """The parameters in one order: the database keeps another than the caller's, and Stripe answers a key only when
    everything else about the request is the same too."""
    signed: Values = _ordered({**command.parameters, "command": str(command.id)})
    return signed


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    return [_ordered(entry) for entry in value] if isinstance(value, list) else value


def _finish(
    command: StripeCommand,
    state: StripeCommand.State,
    now: datetime,
    *,
    result: Values | None = None,
    error: str = "",
    code: str = "",
) -> None:
    """End what waits. What has ended meanwhile stays as it ended: its person has left, or somebody else was quicker."""
    outcome = {"state": state, "result": result or {}, "error": error, "error_code": code, "finished_at": now}
    if StripeCommand.objects.filter(pk=command.pk, state=StripeCommand.State.WAITING).update(**outcome):
        for name, value in outcome.items():
            setattr(command, name, value)
    else:
        command.refresh_from_db()
