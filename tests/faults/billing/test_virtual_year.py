"""A virtual year at the simulated Stripe: every invoice is what a bookkeeper of our own expects, and whoever has paid
has the plan at every moment that was paid for.

`YEAR_SUBSCRIPTIONS` (12) people for `YEAR_MONTHS` (2); `make faults` takes 1,000 for 13, which two processes may share:
`YEAR_FIRST` (0) is the number of the first. They buy Plus, Pro or Team, by
the month or the year, some with a trial, some with a code, some through 3-D Secure; they upgrade in the middle
of a period, downgrade at its end, take more seats and fewer, cancel, come back; cards fail at a renewal and are mended
days later, and banks want to be asked at every renewal, which some people do and others leave.
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
from billing import checkout, stripe, subscriptions, teams, webhooks
from billing.entitlements import GRACE, entitlement_of
from billing.mirror import FIRST_ATTEMPT_AFTER
from billing.models import Invoice, Plan, Subscription
from billing.stripe import client as sdk
from tests.stack.customers import CHALLENGED, PAID, come_back, newcomer, open_checkout, pay, price

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PEOPLE = int(os.environ.get("YEAR_SUBSCRIPTIONS", "12"))
FIRST = int(os.environ.get("YEAR_FIRST", "0"))
MONTHS = int(os.environ.get("YEAR_MONTHS", "2"))
FAILS_WHEN_CHARGED, CHALLENGED_EACH_TIME = "4000000000000341", "4000002760003184"
TRIAL = timedelta(days=14)
# Stripe keeps a renewal's invoice as a draft for an hour before it takes the money.
DRAFT = timedelta(hours=1)
MENDED_AFTER = timedelta(days=4)
CONFIRMED_AFTER = timedelta(hours=6)
MEMBERS = 5


def later(anchor: datetime, months: int) -> datetime:
    """`anchor` some months on; the last day of a shorter month stands for days that it lacks."""
    year, month = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + year, month + 1
    return anchor.replace(year=year, month=month, day=min(anchor.day, calendar.monthrange(year, month)[1]))


def rounded(amount: Fraction) -> int:
    """Half up, away from zero."""
    whole = int(abs(amount) + Fraction(1, 2))
    return whole if amount >= 0 else -whole


@dataclass(frozen=True)
class Code:
    """A promotion code: so much off in hundredths of a price, or an amount for some months from the purchase."""

    percent: int = 0
    amount: int = 0
    months: int = 0

    def off(self, price: int, *, bought: datetime, at: datetime) -> int:
        if self.months and at >= later(bought, self.months):
            return 0
        return rounded(Fraction(price * self.percent, 100)) or min(price, self.amount)

    def make(self) -> str:
        """The word for it, after Stripe was told."""
        word = f"YEAR{uuid.uuid4().hex[:8]}".upper()
        terms = {"percent_off": self.percent} if self.percent else {"amount_off": self.amount, "currency": "usd"}
        lasts = {"duration": "repeating", "duration_in_months": self.months} if self.months else {"duration": "forever"}
        coupon = sdk.api().coupons.create({**terms, **lasts})
        sdk.api().promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": word})
        return word


@dataclass
class Books:
    """What a person has to be billed, worked out from what they did and nothing else."""

    plan: str
    interval: str
    starts: datetime
    trial: bool
    quantity: int = 1
    code: Code = Code()
    bills: list[tuple[int, bool]] = field(default_factory=list)
    paid: list[tuple[datetime, datetime, str, int]] = field(default_factory=list)
    next_plan: str = ""
    next_quantity: int = 0
    is_cancelled: bool = False
    is_left_unpaid: bool = False
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
            self.bills.append((self.amount(self.starts), True))
            self.period = (self.starts, self._end(1))
        self.paid.append((*self.period, self.plan, self.quantity))

    def amount(self, at: datetime) -> int:
        """A whole period as it is sold at that moment."""
        gross = price(self.plan, self.interval).unit_amount * self.quantity
        return gross - self.code.off(gross, bought=self.starts, at=at)

    def _end(self, count: int) -> datetime:
        return later(self.anchor, count * (12 if self.interval == "year" else 1))

    def go_up(self, at: datetime, *, plan: str, quantity: int) -> None:
        """The rest of the period at the new price, less the rest of it at the old one, to the second."""
        begins, ends = self.period
        part = Fraction(int((ends - at).total_seconds()), int((ends - begins).total_seconds()))
        before, old = self.paid[-1], self.amount(begins)
        self.plan, self.quantity = plan, quantity
        self.bills.append((rounded(self.amount(at) * part) - rounded(old * part), True))
        self.paid[-1] = (before[0], at, *before[2:])
        self.paid.append((at, ends, plan, quantity))

    def renew(self) -> None:
        """The period is over: the next one is billed, unless it was cancelled."""
        if self.is_cancelled or self.is_left_unpaid:
            return
        self.plan, self.next_plan = self.next_plan or self.plan, ""
        self.quantity, self.next_quantity = self.next_quantity or self.quantity, 0
        self.renewals += 1
        self.period = (self.period[1], self._end(self.renewals))
        self.bills.append((self.amount(self.period[0]), True))
        self.paid.append((*self.period, self.plan, self.quantity))

    def leave_unpaid(self) -> None:
        """The newest bill is never paid, so that there are no more."""
        self.bills[-1] = (self.bills[-1][0], False)
        self.paid.pop()
        self.is_left_unpaid = True


class Year:
    """The clock of the simulated Stripe, and what is planned for each moment of it."""

    def __init__(self, url: str) -> None:
        # One for all moments: to make a client takes longer than what is asked of it.
        self._stripe = httpx.Client(base_url=url, timeout=600)
        self.plans: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self.now = self._move(0)

    def _move(self, seconds: float) -> datetime:
        answer = self._stripe.post("/_ctl/time", json={"seconds": round(seconds)})
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
    card: dict[str, str]

    @property
    def subscription(self) -> Subscription:
        return Subscription.objects.get(customer__user=self.user)

    def upgrade(self, now: datetime) -> None:
        self._change("pro", 1, now)
        self.books.go_up(now, plan="pro", quantity=1)

    def downgrade(self, now: datetime) -> None:
        self._change("plus", 1, now)
        self.books.next_plan = "plus"

    def gather(self, now: datetime) -> None:
        """More people than there are seats: who came first sits."""
        team = teams.team_of(self.user, now=now)
        assert team is not None
        for _member in range(MEMBERS - 1):
            team.memberships.create(user=newcomer("member"))

    def take_more_seats(self, now: datetime) -> None:
        self._change("team", self.books.quantity + 2, now)
        self.books.go_up(now, plan="team", quantity=self.books.quantity + 2)

    def take_fewer_seats(self, now: datetime) -> None:
        self._change("team", 2, now)
        self.books.next_quantity = 2

    def _change(self, plan: str, quantity: int, now: datetime) -> None:
        wanted = price(plan, self.books.interval)
        given = {"subscription": self.subscription, "price": wanted, "quantity": quantity}
        promised = subscriptions.preview(**given, now=now).due
        direction = subscriptions.change(**given, wish_id=uuid.uuid4(), at=now, now=now)
        if direction == subscriptions.Direction.UP:
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

    def confirm(self, _now: datetime) -> None:
        """The bank wants to hear from the person, who pays on the page of the bill."""
        owed = Invoice.objects.get(customer__user=self.user, status="open")
        assert self.subscription.status == "past_due"
        page = stripe.retrieve_invoice(owed.pk).page_url
        assert "Your bank wants to know" in httpx.post(page, data=self.card, timeout=60).text
        assert httpx.post(page, data={**self.card, "challenge": "complete"}, timeout=60).status_code == 303

    def _give_card(self, number: str, now: datetime) -> None:
        address = checkout.portal(user=self.user, wish_id=uuid.uuid4(), flow="payment_method_update", now=now)
        card = {"action": "card", "number": number, "expiry": "12/40", "cvc": "123"}
        assert httpx.post(address, data=card, timeout=60).status_code < 400

    def look(self, now: datetime) -> None:
        """The plan that was paid for is there, and none that was not: but for the time that a payment may take."""
        owed = next(((plan, seats) for begins, ends, plan, seats in self.books.paid if begins <= now < ends), None)
        last = max(ends for _begins, ends, _plan, _seats in self.books.paid)
        is_over = self.books.is_cancelled or now >= last + FIRST_ATTEMPT_AFTER + GRACE
        if owed is None and not is_over:
            return
        plan, seats = owed or ("free", 0)
        seen = [entitlement_of(user, now=now).plan_key for user in self._everybody()]
        wanted = [plan if number < max(seats, 1) else "free" for number in range(len(seen))]
        assert seen == wanted, (self.user.email, now, seen, self.books.paid)

    def _everybody(self) -> list[User]:
        members = User.objects.filter(team_membership__team__owner=self.user).order_by("team_membership__id")
        return list(members) or [self.user]


@dataclass(frozen=True)
class Kind:
    """How somebody buys."""

    plan: str = "plus"
    interval: str = "month"
    card: str = PAID
    trial: bool = False
    quantity: int = 1
    code: Code = Code()


KINDS = {
    0: Kind(),
    1: Kind(trial=True),
    2: Kind(card=CHALLENGED),
    3: Kind(trial=True, card=FAILS_WHEN_CHARGED),
    4: Kind(plan="pro"),
    5: Kind(trial=True),
    6: Kind(interval="year"),
    7: Kind(),
    8: Kind(plan="team", quantity=3, code=Code(percent=15)),
    9: Kind(code=Code(percent=33)),
    10: Kind(code=Code(amount=750, months=2)),
    11: Kind(card=CHALLENGED_EACH_TIME),
}
# Of those whose bank asks at every renewal, one in two never answers.
NEVER_CONFIRMS = 2 * len(KINDS) - 1


def people(year: Year) -> Iterator[Person]:
    for number in range(FIRST, FIRST + PEOPLE):
        kind = KINDS[number % len(KINDS)]
        user = newcomer(f"person{number}")
        Plan.objects.update(trial_days=TRIAL.days if kind.trial else 0)
        session = open_checkout(user, price=price(kind.plan, kind.interval), quantity=kind.quantity)
        # A trial is given once a card.
        card = {"number": kind.card, "expiry": f"{number % 12 + 1:02}/{35 + number // 12}", "cvc": "123"}
        answer = pay(session, **card, **({"promotion_code": kind.code.make()} if kind.code != Code() else {}))
        if kind.card in (CHALLENGED, CHALLENGED_EACH_TIME):
            answer = pay(session, **card, challenge="complete")
        bought = come_back(user, answer)
        assert bought is not None
        assert bought.period_start is not None
        books = Books(kind.plan, kind.interval, bought.period_start, kind.trial, kind.quantity, kind.code)
        yield Person(user, books, random.Random(number), year, card)


def script(person: Person, number: int, ends: datetime) -> None:
    """What this person does and when; the books turn their page at the end of each period."""
    year, books, chance = person.year, person.books, person.random
    first_end = books.period[1]
    month_ends = [moment for count in range(MONTHS + 1) if (moment := later(first_end, count)) < ends]
    inside = first_end + timedelta(days=chance.uniform(2, 20)) if books.interval == "month" else None
    for moment in month_ends if books.interval == "month" else month_ends[:1]:
        year.plan(moment, lambda _now: books.renew())
    kind = number % len(KINDS)
    if kind == 3:
        year.plan(first_end + MENDED_AFTER, person.mend_card)
    third_end = later(first_end, 2)
    if kind == 0 and third_end + MENDED_AFTER < ends:
        year.plan(third_end - timedelta(days=1), person.lose_card)
        year.plan(third_end + MENDED_AFTER, person.mend_card)
    if inside and kind in (0, 1, 2, 9):
        year.plan(inside, person.upgrade)
        year.plan(inside + timedelta(seconds=1), person.look)
    if kind == 4:
        year.plan(books.starts + timedelta(days=chance.uniform(1, 25)), person.downgrade)
    if kind == 5:
        year.plan(books.starts + timedelta(days=3), person.cancel)
        year.plan(books.starts + timedelta(days=5), person.resume)
    if kind == 7:
        year.plan(books.starts + timedelta(days=chance.uniform(1, 25)), person.cancel)
    if kind == 8:
        year.plan(books.starts + timedelta(hours=1), person.gather)
        more = books.starts + timedelta(days=chance.uniform(1, 20))
        for act, at in ((person.take_more_seats, more), (person.take_fewer_seats, more + timedelta(days=5))):
            year.plan(at, act)
            year.plan(at + timedelta(seconds=1), person.look)
    if kind == 11:
        for moment in month_ends[:1] if number % (2 * len(KINDS)) == NEVER_CONFIRMS else month_ends:
            is_left = number % (2 * len(KINDS)) == NEVER_CONFIRMS
            year.plan(moment + CONFIRMED_AFTER, (lambda _now: books.leave_unpaid()) if is_left else person.confirm)
    for moment in month_ends:
        for near in (timedelta(seconds=-1), timedelta(seconds=1), DRAFT, 2 * DRAFT, MENDED_AFTER - DRAFT):
            year.plan(moment + near, person.look)
    for _look in range(MONTHS):
        year.plan(books.starts + (ends - books.starts) * chance.random(), person.look)


def test_every_invoice_is_what_the_books_say_and_paid_time_is_had(at_simulated_stripe: str) -> None:
    year = Year(at_simulated_stripe)
    everybody = list(people(year))
    ends = later(year.now, MONTHS) + timedelta(days=1)
    for number, person in enumerate(everybody, FIRST):
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
