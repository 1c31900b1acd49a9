"""A person makes a key, copies it, and ends it."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts import api_keys, key_format
from accounts.models import ApiKey, User
from tests import signing_in
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = pytest.mark.browser


@pytest.fixture
def person(stack: Stack) -> User:
    return signing_in.person("coder@example.org")


def give_password(page: Page) -> None:
    page.locator("input[type=password]").fill(signing_in.PASSWORD)
    page.keyboard.press("Enter")


def test_from_the_first_key_to_none(new_page: NewPage, person: User) -> None:
    page = new_page(person)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/settings/keys")
    page.get_by_role("link", name="New key").click()
    give_password(page)
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_role("button", name="Copy the key").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert key_format.is_well_formed(copied)
    assert api_keys.find(copied, now=timezone.now())
    page.get_by_role("link", name="I have saved it").click()
    expect(page.get_by_text(copied[:13])).to_be_visible()
    page.get_by_role("button", name="Revoke the key laptop").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("No keys yet")).to_be_visible()
    assert not ApiKey.objects.usable(now=timezone.now()).exists()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out_on_a_phone(new_page: NewPage, person: User, dark: bool) -> None:
    api_keys.create(user=person, name="a server in Frankfurt", scopes=["chat", "usage"], now=timezone.now())
    page = new_page(person, dark=dark, phone=True)
    page.goto("/settings/keys/new")
    give_password(page)
    expect(page).to_have_url(re.compile("/settings/keys/new"))
    for address in ("/settings/keys/new", "/settings/keys"):
        page.goto(address)
        found = Axe().run(page).response["violations"]
        assert not [issue["id"] for issue in found if issue["impact"] in ("serious", "critical")]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
