"""A virtual year at the simulated Stripe: every invoice is what a bookkeeper of our own expects, and whoever has paid
has the plan at every moment that was paid for.

`YEAR_SUBSCRIPTIONS` (8) people for `YEAR_MONTHS` (2); `make faults` takes 1,000 for 13. They buy Plus or Pro, by the
month or the year, some with a trial, some through 3-D Secure; they upgrade in the middle of a period, downgrade at its
end, cancel, come back; cards fail at a renewal and are mended days later.
"""

from __future__ import annotations

import calendar
import os
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import httpx
import pytest

from accounts.models import User
from billing import checkout, subscriptions, webhooks
from billing.entitlements import GRACE, entitlement_of
from billing.mirror import FIRST_ATTEMPT_AFTER
from billing.models import Invoice, Plan, Subscription
from tests.stack.customers import CHALLENGED, PAID, come_back, newcomer, open_checkout, pay, price

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PEOPLE = int(os.environ.get("YEAR_SUBSCRIPTIONS", "8"))
MONTHS = int(os.environ.get("YEAR_MONTHS", "2"))
FAILS_WHEN_CHARGED = "4000000000000341"
TRIAL = timedelta(days=14)
# Stripe keeps a renewal's invoice as a draft for an hour before it takes the money.
DRAFT = timedelta(hours=1)
MENDED_AFTER = timedelta(days=4)


def later(anchor: datetime, months: int) -> datetime:
    """`anchor` some months on; the last day of a shorter month stands for days that it lacks."""
    year, month = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + year, month + 1
    return anchor.replace(year=year, month=month, day=min(anchor.day, calendar.monthrange(year, month)[1]))


def rounded(amount: Fraction) -> int:
    """Half up, away from zero."""
    whole = int(abs(amount) + Fraction(1, 2))
    return whole if amount >= 0 else -whole


@dataclass
class Books:
    """What a person has to be billed, worked out from what they did and nothing else."""

    plan: str
    interval: str
    starts: datetime
    trial: bool
    bills: list[tuple[int, bool]] = field(default_factory=list)
    paid: list[tuple[datetime, datetime, str]] = field(default_factory=list)
    next_plan: str = ""
    is_cancelled: bool = False
    period: tuple[datetime, datetime] = field(init=False)
    anchor: datetime = field(init=False)
    renewals: int = 0

    def __post_init__(self) -> None:
        if self.trial:
            self.bills.append((0, True))
            self.period = (self.starts, self.starts + TRIAL)
            self.anchor = self.starts + TRIAL
        else:
            self.anchor = self.starts
            self.renewals = 1
            self.bills.append((self.amount, True))
            self.period = (self.starts, self._end(1))
        self.paid.append((*self.period, self.plan))

    @property
    def amount(self) -> int:
        return price(self.plan, self.interval).unit_amount

    def _end(self, count: int) -> datetime:
        return later(self.anchor, count * (12 if self.interval == "year" else 1))

    def upgrade(self, at: datetime) -> None:
        """The rest of the period at the new price, less the rest of it at the old one, to the second."""
        begins, ends = self.period
        part = Fraction(int((ends - at).total_seconds()), int((ends - begins).total_seconds()))
        old, self.plan = self.amount, "pro"
        self.bills.append((rounded(self.amount * part) - rounded(old * part), True))
        self.paid[-1] = (begins, at, "plus")
        self.paid.append((at, ends, "pro"))

    def renew(self) -> None:
        """The period is over: the next one is billed, unless it was cancelled."""
        if self.is_cancelled:
            return
        self.plan, self.next_plan = self.next_plan or self.plan, ""
        self.renewals += 1
        self.period = (self.period[1], self._end(self.renewals))
        self.bills.append((self.amount, True))
        self.paid.append((*self.period, self.plan))


class Year:
    """The clock of the simulated Stripe, and what is planned for each moment of it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.plans: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self.now = self._move(0)

    def _move(self, seconds: float) -> datetime:
        answer = httpx.post(f"{self._url}/_ctl/time", json={"seconds": round(seconds)}, timeout=600)
        return datetime.fromtimestamp(answer.json()["now"], tz=UTC)

    def to(self, moment: datetime) -> None:
        """Let time pass, and hear of what it brought by asking for missed events."""
        before = self.now
        if moment > before:
            self.now = self._move((moment - before).total_seconds())
            # Stripe's times are whole seconds.
            webhooks.backfill(now=self.now, since=before - timedelta(seconds=1))
            while webhooks.process_waiting(now=lambda: self.now):
                pass

    def plan(self, moment: datetime, act: Callable[[datetime], None]) -> None:
        self.plans.append((moment, len(self.plans), act))

    def pass_by(self) -> None:
        for moment, _number, act in sorted(self.plans):
            self.to(moment)
            act(self.now)


@dataclass
class Person:
    user: User
    books: Books
    random: random.Random
    year: Year

    @property
    def subscription(self) -> Subscription:
        return Subscription.objects.get(customer__user=self.user)

    def upgrade(self, now: datetime) -> None:
        self._change("pro", now)
        self.books.upgrade(now)

    def downgrade(self, now: datetime) -> None:
        self._change("plus", now)
        self.books.next_plan = "plus"

    def _change(self, plan: str, now: datetime) -> None:
        wanted = price(plan, self.books.interval)
        given = {"subscription": self.subscription, "price": wanted, "quantity": 1}
        promised = subscriptions.preview(**given, now=now).due
        subscriptions.change(**given, wish_id=uuid.uuid4(), at=now, now=now)
        if plan == "pro":
            newest = Invoice.objects.filter(customer__user=self.user).order_by("-created_at", "-stripe_id").first()
            assert newest is not None
            assert newest.total == promised, "the preview said another amount"

    def cancel(self, now: datetime) -> None:
        subscriptions.cancel(subscription=self.subscription, reason="unused", comment="", wish_id=uuid.uuid4(), now=now)
        self.books.is_cancelled = True

    def resume(self, now: datetime) -> None:
        subscriptions.resume(subscription=self.subscription, wish_id=uuid.uuid4(), now=now)
        self.books.is_cancelled = False

    def mend_card(self, now: datetime) -> None:
        self._give_card(PAID, now)

    def lose_card(self, now: datetime) -> None:
        self._give_card(FAILS_WHEN_CHARGED, now)

    def _give_card(self, number: str, now: datetime) -> None:
        address = checkout.portal(user=self.user, wish_id=uuid.uuid4(), flow="payment_method_update", now=now)
        card = {"action": "card", "number": number, "expiry": "12/40", "cvc": "123"}
        assert httpx.post(address, data=card, timeout=60).status_code < 400

    def look(self, now: datetime) -> None:
        """The plan that was paid for is there, and none that was not: but for the time that a payment may take."""
        owed = next((plan for begins, ends, plan in self.books.paid if begins <= now < ends), None)
        seen = entitlement_of(self.user, now=now).plan_key
        last = max(ends for _begins, ends, _plan in self.books.paid)
        is_over = self.books.is_cancelled or now >= last + FIRST_ATTEMPT_AFTER + GRACE
        wanted = owed or ("free" if is_over else seen)
        assert seen == wanted, (self.user.email, now, seen, self.books.paid)


def people(year: Year) -> Iterator[Person]:
    for number in range(PEOPLE):
        chance = random.Random(number)
        user = newcomer(f"person{number}")
        fails = number % 8 == 3
        trial = fails or number % 4 == 1
        interval = "year" if number % 8 == 6 else "month"
        plan = "pro" if number % 8 == 4 else "plus"
        Plan.objects.update(trial_days=TRIAL.days if trial else 0)
        session = open_checkout(user, price=price(plan, interval))
        number_on_card = FAILS_WHEN_CHARGED if fails else CHALLENGED if number % 8 == 2 else PAID
        own = {"expiry": f"{number % 12 + 1:02}/{35 + number // 12}"}  # a trial is given once a card
        answer = pay(session, number_on_card, **own)
        if number_on_card == CHALLENGED:
            answer = pay(session, number_on_card, challenge="complete", **own)
        bought = come_back(user, answer)
        assert bought is not None
        starts = bought.period_end - TRIAL if trial else later(bought.period_end, -12 if interval == "year" else -1)
        yield Person(user, Books(plan, interval, starts, trial), chance, year)


def script(person: Person, number: int, ends: datetime) -> None:
    """What this person does and when; the books turn their page at the end of each period."""
    year, books, chance = person.year, person.books, person.random
    first_end = books.period[1]
    month_ends = [moment for count in range(MONTHS + 1) if (moment := later(first_end, count)) < ends]
    inside = first_end + timedelta(days=chance.uniform(2, 20)) if books.interval == "month" else None
    for moment in month_ends if books.interval == "month" else month_ends[:1]:
        year.plan(moment, lambda _now: books.renew())
    kind = number % 8
    if kind == 3:
        year.plan(first_end + MENDED_AFTER, person.mend_card)
    third_end = later(first_end, 2)
    if kind == 0 and third_end + MENDED_AFTER < ends:
        year.plan(third_end - timedelta(days=1), person.lose_card)
        year.plan(third_end + MENDED_AFTER, person.mend_card)
    if inside and kind in (0, 1, 2):
        year.plan(inside, person.upgrade)
        year.plan(inside + timedelta(seconds=1), person.look)
    if kind == 4:
        year.plan(books.starts + timedelta(days=chance.uniform(1, 25)), person.downgrade)
    if kind == 5:
        year.plan(books.starts + timedelta(days=3), person.cancel)
        year.plan(books.starts + timedelta(days=5), person.resume)
    if kind == 7:
        year.plan(books.starts + timedelta(days=chance.uniform(1, 25)), person.cancel)
    for moment in month_ends:
        for near in (timedelta(seconds=-1), timedelta(seconds=1), DRAFT, 2 * DRAFT, MENDED_AFTER - DRAFT):
            year.plan(moment + near, person.look)
    for _look in range(MONTHS):
        year.plan(books.starts + (ends - books.starts) * chance.random(), person.look)


def test_every_invoice_is_what_the_books_say_and_paid_time_is_had(at_simulated_stripe: str) -> None:
    year = Year(at_simulated_stripe)
    everybody = list(people(year))
    ends = later(year.now, MONTHS) + timedelta(days=1)
    for number, person in enumerate(everybody):
        script(person, number, ends)
    year.pass_by()
    year.to(ends + timedelta(days=1))
    wrong = []
    for person in everybody:
        invoices = Invoice.objects.filter(customer__user=person.user).order_by("created_at", "stripe_id")
        billed = [(invoice.total, invoice.status == "paid") for invoice in invoices]
        if sorted(billed) != sorted(person.books.bills):
            wrong.append((person.user.email, billed, person.books.bills))
    assert not wrong, wrong
    assert sum(len(person.books.bills) for person in everybody) >= PEOPLE * min(MONTHS, 2)
