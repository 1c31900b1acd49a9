"""Signing out leaves nothing in the browser; a device is signed out from another one; a failed try is told."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from accounts.models import ActivityEvent
from tests import signing_in
from tests.stack.browser import NewPage
from tests.waiting import wait_until

pytestmark = pytest.mark.browser


def test_signing_out_here_and_from_elsewhere(new_page: NewPage) -> None:
    person = signing_in.person("leaving@example.org")
    page, other = new_page(person), new_page(person, phone=True)
    for browser in (other, page):
        browser.goto("/chat")
    page.locator("#message").fill("words that nobody was sent")
    assert "words that nobody" in page.evaluate("JSON.stringify(localStorage)")
    page.goto("/accounts/sessions/")
    page.get_by_role("button", name="Sign out Chrome").click()
    expect(page.locator("main")).not_to_contain_text("Sign out all others")
    other.reload()
    expect(other.locator("input[name=login]")).to_be_visible()
    page.get_by_role("button", name="Your account").last.click()
    page.get_by_role("button", name="Sign out", exact=True).last.click()
    expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
    assert page.evaluate("JSON.stringify(localStorage)") == "{}"


def test_a_wrong_password_stands_in_the_log_of_the_account(new_page: NewPage) -> None:
    person = signing_in.person("tried@example.org")
    stranger = new_page()
    stranger.goto("/accounts/login/")
    stranger.locator("input[name=login]").fill(person.email)
    stranger.locator("input[name=password]").fill("not the password")
    stranger.locator("input[name=password]").press("Enter")
    expect(stranger.locator("main")).to_contain_text("not correct")
    wait_until(person.activity.filter(kind=ActivityEvent.Kind.SIGN_IN_FAILED).exists, what="no worker wrote it down")
    owner = new_page(person)
    owner.goto("/settings/activity")
    expect(owner.locator("main")).to_contain_text("Sign-in failed")
