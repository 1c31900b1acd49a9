"""The whole of Parley as people meet it: from sign-up to a data set that a trainer takes."""

from __future__ import annotations

import email
import email.policy
import re
import time
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management import call_command
from playwright.sync_api import Page, expect

from accounts.models import User
from billing.models import Plan, StripeEvent
from chat.models import Message, Reply
from feedback.models import Rating, Release
from feedback.release import store
from tests.browser.chat_page import ChatPage
from tests.stack.browser import NewPage
from tests.stack.processes import Stack
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ADDRESS = "grace@example.org"
PASSWORD = "correct horse battery staple"
# Two messages and one variant, so that the fourth meets the wall.
FREE_MESSAGES = 3
PLUS_SECONDS = 30
EXPORT_SECONDS = 60
# What a release takes: two variants of a small model may be twins, or hold what looks like a telephone number.
OTHER_REPLY = "**Bread** is baked.\n\n- apples\n- pears"
GOOD_REPLY = "Your name is Grace, as you told me at the start of this conversation."
BAD_REPLY = "I am only a language model and have never been told what people are called."


def test_from_sign_up_to_a_data_set(stack: Stack, new_page: NewPage, monkeypatch: pytest.MonkeyPatch) -> None:
    Plan.objects.filter(key="free").update(messages_per_window=FREE_MESSAGES)
    call_command("sync_plans", verbosity=0)
    page = new_page(allowing=("status of 429",))

    sign_up(page)
    chat = ChatPage(page)
    expect(page).to_have_url(re.compile("/chat$"))

    chat.ask("My name is Grace. Write one sentence about **bread** in bold and a list of two fruits.")
    expect(chat.replies.last.locator("[data-blocks] :is(p, ul, ol, strong)").first).to_be_visible()
    chat.ask("What is my name?")
    first, second = Reply.objects.order_by("message__created_at").values_list("prompt_tokens", flat=True)
    assert second > first, "the second prompt holds the first turn"

    regenerate_and_page(chat)
    rate_both_variants(chat)
    meet_the_wall(chat)
    subscribe(page, chat, stack)
    chat.ask("And who are you?")
    assert list(Reply.objects.values_list("state", flat=True)) == ["complete"] * (FREE_MESSAGES + 1)

    put_what_a_release_takes_into_the_replies()
    admin = new_page(make_admin())
    review_all(admin)
    release = export(admin)
    assert_trainers_take(release, monkeypatch)


def sign_up(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Start for free").click()
    page.locator("[name=email]").fill(ADDRESS)
    page.locator("[name=password1]").fill(PASSWORD)
    page.get_by_label(re.compile("may be used to improve the model")).check()
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
    page.goto(link_in_mail_to(ADDRESS))
    page.get_by_role("button", name="Confirm and continue").click()


def link_in_mail_to(address: str) -> str:
    """The link in the newest mail to `address`, as it lies in the folder of mails."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        for path in sorted(Path(settings.EMAIL_FILE_PATH).glob("*.eml"), reverse=True):
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            body = message.get_body(("plain",))
            if address in str(message["To"]) and body and (link := re.search(r"https?://\S+", body.get_content())):
                return link[0]
        time.sleep(0.1)
    pytest.fail(f"No mail with a link to {address}")


def regenerate_and_page(chat: ChatPage) -> None:
    written = chat.text()
    chat.replies.last.get_by_role("button", name="Write again").click()
    place = chat.replies.last.locator(".pager__place")
    expect(place).to_have_text("2/2")
    chat.finished()
    chat.replies.last.get_by_role("link", name="Previous variant").click()
    expect(place).to_have_text("1/2")
    wait_until(lambda: chat.text() == written, what="the first variant is not what it was")


def rate_both_variants(chat: ChatPage) -> None:
    good = chat.replies.last.get_by_role("button", name="Good reply")
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")
    chat.replies.last.get_by_role("link", name="Next variant").click()
    expect(chat.replies.last.locator(".pager__place")).to_have_text("2/2")
    chat.replies.last.get_by_role("button", name="Bad reply").click()
    chat.page.get_by_label("Wrong or absurd").check()
    chat.page.get_by_label("Comment (optional)").fill("It does not know me.")
    chat.replies.last.get_by_role("button", name="Save").click()
    expect(chat.replies.last.get_by_text("Your rating")).to_be_visible()
    assert set(Rating.objects.values_list("value", flat=True)) == {1, -1}
    down = Rating.objects.get(value=-1)
    assert (down.reasons, down.comment) == (["incorrect"], "It does not know me.")


def meet_the_wall(chat: ChatPage) -> None:
    chat.say("And who are you?")
    expect(chat.notice).to_contain_text("You have reached your limit for now")
    expect(chat.box).to_have_value("And who are you?")
    chat.notice.get_by_role("link", name="See the plans").click()


def subscribe(page: Page, chat: ChatPage, stack: Stack) -> None:
    """Checkout on the simulated Stripe; the plan comes by its signed webhook."""
    page.get_by_role("button", name=re.compile("(Try|Get) Plus")).click()
    expect(page).to_have_url(re.compile(re.escape(stack.stripe_url)))
    page.get_by_label("Card number").fill("4242 4242 4242 4242")
    page.get_by_label(re.compile("Expires")).fill("12 / 34")
    page.get_by_label("Security code").fill("123")
    page.get_by_role("button", name=re.compile("Pay and subscribe|Start the trial")).click()
    expect(page.get_by_role("heading", name="You are on Plus")).to_be_visible(timeout=PLUS_SECONDS * 1000)
    wait_for_signed_webhook()
    page.get_by_role("link", name="Back to the chat").click()
    page.locator(".sidebar__item").first.click()
    expect(chat.box).to_have_value("And who are you?")
    chat.box.fill("")


def wait_for_signed_webhook() -> None:
    about_it = StripeEvent.objects.filter(type__startswith="customer.subscription", source="webhook")
    handled = about_it.filter(state=StripeEvent.State.DONE)
    wait_until(handled.exists, seconds=PLUS_SECONDS, what="no signed event about it was handled")


def put_what_a_release_takes_into_the_replies() -> None:
    Message.objects.filter(pk__in=Reply.objects.values("message"), ratings=None).update(content=OTHER_REPLY)
    for value, words in ((1, GOOD_REPLY), (-1, BAD_REPLY)):
        Message.objects.filter(pk=Rating.objects.get(value=value).message_id).update(content=words)


def make_admin() -> User:
    admin = User.objects.create_superuser("admin@example.org", PASSWORD)
    EmailAddress.objects.create(user=admin, email=admin.email, verified=True, primary=True)
    return admin


def review_all(page: Page) -> None:
    page.goto("/feedback/review/")
    for _rating in range(2):
        expect(page.get_by_role("heading", name="The rated reply")).to_be_visible()
        page.get_by_role("button", name=re.compile("Approve")).click()
        expect(page.get_by_text("Decided.")).to_be_visible()
    expect(page.get_by_text("Nothing to review")).to_be_visible()


def export(page: Page) -> Release:
    page.goto("/feedback/releases/")
    page.get_by_role("button", name="Export").click()
    sealed = Release.objects.filter(state=Release.State.SEALED)
    wait_until(sealed.exists, seconds=EXPORT_SECONDS, what="no worker made the release")
    expect(page.get_by_text("Ready")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("manifest", re.I))).to_be_visible()
    return sealed.get()


def assert_trainers_take(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files as they lie there, opened with no glue by what trainers use."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets
    from trl.data_utils import is_conversational, unpair_preference_dataset

    folder = Path(store.location(release.folder))
    cache = folder.parent / "datasets-cache"

    def opened(config: str) -> datasets.Dataset:
        splits = datasets.load_dataset(str(folder), config, cache_dir=str(cache))
        return datasets.concatenate_datasets(list(splits.values()))

    unpaired = opened("unpaired")
    assert sorted(unpaired["label"]) == [False, True], release.counts
    assert all(is_conversational(row) for row in unpaired)
    assert {"prompt", "completion", "label"} <= set(unpaired.column_names)
    pairs = opened("preference")
    assert len(pairs) == 1, release.counts
    assert is_conversational(pairs[0])
    assert [pairs[0][side][0]["content"] for side in ("chosen", "rejected")] == [GOOD_REPLY, BAD_REPLY]
    flat = unpair_preference_dataset(pairs.select_columns(["prompt", "chosen", "rejected"]))
    assert flat["label"] == [True, False]
