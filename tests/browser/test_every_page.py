"""Every page there is, found in the URL configuration, fits three widths; axe finds nothing serious in either theme.

`SHOTS=folder pytest tests/browser/test_every_page.py` also leaves a picture of each page in every width, theme and
language there, for eyes.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from playwright.sync_api import Page

from accounts.models import User
from billing import checkout, mirror, stripe, teams
from billing.models import Invoice, Subscription, TeamInvitation
from billing.stripe import client as sdk
from chat import sharing
from chat.consistency import asking, measuring, proposing
from chat.models import ConsistencyCheck, Message
from feedback import capture
from feedback.models import Release
from tests import factories
from tests.stack.browser import NewPage
from tests.stack.customers import buy, newcomer, open_checkout, price

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDTHS = (390, 820, 1440)
# Not pages of ours: Django's admin, JSON, and addresses that do something.
ELSEWHERE = ("admin/", "api/", "v1/", "i18n/", "accounts/logout/", "accounts/2fa/webauthn/login/", "__")
# Of places in a line that scrolls, the open one has been scrolled out of it, wholly or in part. A page hears of its new
# width with its next frame.
HIDES_WHERE_ONE_IS = """async () => {
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    const open = [...document.querySelectorAll(".side-nav [aria-current], .tabs [aria-current]")];
    return open.map((one) => one.getBoundingClientRect()).some(({ left, right }) => left < 0 || right > innerWidth);
}"""
TABLE = "| case | steps |\n|---|--:|\n| worst | $n^2$ |\n"
REPLY = "A quick sort:\n\n```python\n" + "def quick_sort(items): " * 12 + f"\n```\n\n{TABLE}"


def addresses(patterns: list[URLPattern | URLResolver] | None = None, prefix: str = "") -> Iterator[str]:
    """The addresses without ids of the whole site."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        address = prefix + str(entry.pattern)
        if address.startswith(ELSEWHERE):
            continue
        if isinstance(entry, URLResolver):
            yield from addresses(entry.url_patterns, address)
        elif "<" not in address and not address.endswith((".json", ".txt")):
            yield f"/{address}"


TOKEN = "a-token-of-an-invitation-that-is-open"


def pay_for_a_team(owner: User) -> None:
    """A plan with seats, of which one is taken and one offered, and bills: one paid, one of which a part went back."""
    now = timezone.now()
    subscription = buy(owner, price=price("team"), quantity=3)
    payment = stripe.payment_of_invoice(subscription.latest_invoice_id)
    sdk.api().refunds.create({"payment_intent": payment, "amount": 1250})
    mirror.refresh_money(payment, cause="test", now=now)
    assert Invoice.objects.get(pk=subscription.latest_invoice_id).is_partly_refunded
    Invoice.objects.create(
        stripe_id="in_of_earlier", customer=subscription.customer, number="PARLEY-0001", status="open", currency="usd",
        total=2500, amount_due=2500, amount_paid=0, created_at=now - timedelta(days=31),
    )  # fmt: skip
    team = teams.team_of(owner, now=now)
    assert team is not None
    team.memberships.create(user=newcomer("bob"), joined_at=now)
    TeamInvitation.objects.create(
        team=team, email="a.person.with.a.very.long.name@department.of.a.company.example.org", created_at=now,
        token_hash=hashlib.sha256(TOKEN.encode()).hexdigest(), expires_at=now + timedelta(days=7),
    )  # fmt: skip


@pytest.fixture
def talk(stack: object) -> Message:
    call_command("sync_plans")
    admin = User.objects.create_superuser(f"admin-{uuid.uuid4().hex[:8]}@example.org", "a long and rare passphrase")
    for number in range(3):
        factories.conversation(admin, (f"Recipes with lentils, part {number}", "Gladly."))
    talk: Message = factories.conversation(admin, ("Show me a quick sort, and say how fast it is.", REPLY))
    pay_for_a_team(admin)
    rated = factories.conversation(factories.consenting_user(), ("How tall is the tower?", REPLY))
    given = {"client_event_id": uuid.uuid4(), "now": timezone.now()}
    capture.rate(user=rated.conversation.user, message=rated, value=-1, comment="Too tall.", **given)
    return talk


def checked(talk: Message) -> ConsistencyCheck:
    """A check whose answers agree in one matter, contradict each other in another, and say a third alone."""
    now = timezone.now()
    check = ConsistencyCheck.objects.create(reply=talk, proposed_at=now, asked_at=now)
    for position, text in enumerate((REPLY, "Quick sort takes 3 steps.\n\nIt is quick. The worst case is rare."), 1):
        asked = Message(
            conversation=talk.conversation, parent=None, role="user", content=f"In words {position}",
            consistency_check=check,
        )  # fmt: skip
        asked.save()
        answer = factories.reply_to(asked, text)
        Message.everything.filter(pk=answer.pk).update(consistency_check=check)
        check.wordings.create(position=position, text=asked.content, maker="rule", rule="framed", answer=answer)
    Message.objects.filter(pk=talk.pk).update(content=f"{REPLY}\n\nQuick sort takes 4 steps.\n\nIt is quick.")
    measuring.measure(check.pk, now=now)
    return check


def drafted(talk: Message) -> ConsistencyCheck:
    check = asking.begin(message=talk, now=timezone.now())
    proposing.by_rule_alone(check, now=timezone.now())
    return check


def with_ids(talk: Message) -> Iterator[str]:
    """Pages of one thing each."""
    yield f"/billing/team/join/{TOKEN}"
    yield from (f"/billing/change?price={price(plan, 'year').pk}&seats=4" for plan in ("pro", "team"))
    release = Release.objects.create(version=902, state="cancelled", finished_at=timezone.now(), counts={"ratings": 3})
    share = sharing.share(
        conversation=talk.conversation,
        first=talk.parent,
        last=talk,
        title="Quick sort",
        is_anonymous=True,
        is_indexed=False,
        days=7,
        now=timezone.now(),
    )
    for part in ("", "/manage", "/share", "/settings"):
        yield f"/c/{talk.conversation_id}{part}"
    yield f"/s/{share.token}"
    yield from (f"/checks/{check.pk}" for check in (checked(talk), drafted(talk)))
    yield f"/support/conversations/{talk.conversation_id}"
    yield f"/feedback/releases/{release.pk}"


def of_payment(payer: User) -> Iterator[str]:
    """Where a person pays at the simulated Stripe, and looks at cards and bills."""
    owed = {"wish_id": uuid.uuid4(), "now": timezone.now()}
    yield open_checkout(newcomer("carl"))
    yield checkout.portal(user=payer, flow="", **owed)
    paid = Subscription.objects.get(customer__user=payer).latest_invoice_id
    yield stripe.retrieve_invoice(paid).page_url


def look(page: Page, address: str, *, language: str, dark: bool, axe: bool) -> list[str]:
    """What is wrong with the page that is open."""
    theme = "dark" if dark else "light"
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    wrong = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(f"{address} sticks out at {width} px ({language})")
        if page.evaluate(HIDES_WHERE_ONE_IS):
            wrong.append(f"{address} does not show which place is open at {width} px ({language})")
        if folder := os.environ.get("SHOTS"):
            name = re.sub(r"\W+", "_", address.removeprefix(settings.SITE_URL)).strip("_") or "home"
            page.screenshot(path=Path(folder) / f"{name}-{width}-{theme}-{language}.png", full_page=True)
    if axe:
        page.set_viewport_size({"width": WIDTHS[0] if dark else WIDTHS[-1], "height": 900})
        wrong += [
            f"{address} {theme}: {issue['id']}: {[node['html'][:200] for node in issue['nodes']]}"
            for issue in Axe().run(page).response["violations"]
            if issue["impact"] in ("serious", "critical")
        ]
    return wrong


def open_pages(page: Page, wanted: list[str]) -> Iterator[str]:
    """Those of the addresses that answer with a page of their own, opened in turn."""
    for address in wanted:
        answer = page.request.get(address, max_redirects=0)
        assert answer.status < 500, address
        if answer.status == 200 and "text/html" in answer.headers.get("content-type", ""):
            page.goto(address)
            yield address


@pytest.mark.parametrize("signed_in", [True, False], ids=["signed in", "a stranger"])
def test_every_page_fits_every_screen_and_reads_well(new_page: NewPage, talk: Message, signed_in: bool) -> None:
    wanted = [*addresses(), *with_ids(talk), *of_payment(talk.conversation.user)]
    user = talk.conversation.user if signed_in else None
    english, chinese = (new_page(user, locale=locale) for locale in ("en-GB", "zh-CN"))
    wrong, seen = [], []
    for address in open_pages(english, wanted):
        seen.append(address)
        for dark in (False, True):
            wrong += look(english, address, language="en", dark=dark, axe=True)
    for address in seen:
        chinese.goto(address)
        for dark in (False, True) if "SHOTS" in os.environ else (False,):
            wrong += look(chinese, address, language="zh", dark=dark, axe=False)
    assert not wrong, "\n".join(wrong)
    assert len(seen) > (40 if signed_in else 6), seen


STANDINGS = {
    "to be confirmed": {"status": "incomplete"},
    "trial": {"status": "trialing", "trial_end": True},
    "grace": {"status": "past_due", "past_due_since": True},
    "unpaid": {"status": "unpaid"},
    "cancelled": {"cancels_at": True},
    "goes down": {"next_price_id": "price_of_plus"},
}


def test_the_plans_fit_and_read_well_however_one_stands_with_them(new_page: NewPage, talk: Message) -> None:
    pages = [new_page(talk.conversation.user, locale=locale) for locale in ("en-GB", "zh-CN")]
    wrong = []
    for standing, changes in STANDINGS.items():
        values = {
            name: timezone.now() + timedelta(hours=1) if value is True else value for name, value in changes.items()
        }
        mine = Subscription.objects.filter(customer__user=talk.conversation.user)
        before = mine.values(*values).get()
        mine.update(**values)
        for page, language in zip(pages, ("en", "zh"), strict=True):
            for address in ("/billing/plans", "/billing/cancel", "/billing/return"):
                page.goto(address)
                told = look(page, address, language=language, dark=False, axe=language == "en")
                wrong += [f"{standing}: {line}" for line in told]
        mine.update(**before)
    assert not wrong, "\n".join(wrong)
