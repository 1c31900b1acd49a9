"""The list of conversations in a browser: search, order, undo, and chats that leave nothing behind."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Route, expect

from accounts.models import User
from chat.models import Conversation
from tests import factories
from tests.browser.chat_page import ChatPage
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


def talk(user: User, title: str, question: str = "Hello", answer: str = "Hi") -> Conversation:
    made: Conversation = factories.conversation(user, (question, answer)).conversation
    Conversation.objects.filter(pk=made.pk).update(title=title)
    return made


def test_search_shows_hits_while_typing_and_opens_at_the_message(new_page: NewPage, user: User) -> None:
    talk(user, "Ships", "How do ships float?", "A ship **displaces** water.")
    page = new_page(user)
    page.goto("/chat")
    page.keyboard.press("Control+k")
    expect(page).to_have_url(re.compile("/chats/all"))
    page.get_by_role("searchbox").fill("displaces")
    expect(page.locator(".collection__hit mark")).to_have_text("displaces")
    page.locator(".collection__hit").click()
    expect(page.locator(".turn--reply:target")).to_contain_text("displaces")


def test_what_was_typed_before_the_script_came_is_searched(new_page: NewPage, user: User) -> None:
    talk(user, "Ships", "How do ships float?", "A ship **displaces** water.")
    page = new_page(user)
    held: list[Route] = []
    script = re.compile(r"/chat/collection[^/]*\.js")

    def hold(route: Route) -> None:
        held.append(route)

    page.route(script, hold)
    with page.expect_request(script):
        page.goto("/chats/all", wait_until="commit")
    page.get_by_role("searchbox").fill("displaces")
    held[0].continue_()
    expect(page.locator(".collection__hit mark")).to_have_text("displaces")


def test_a_row_is_renamed_pinned_filed_and_archived(new_page: NewPage, user: User) -> None:
    made = talk(user, "Ships")
    page = new_page(user)
    page.goto(f"/c/{made.pk}")
    page.locator(".sidebar__row").hover()
    page.get_by_role("link", name="Options for “Ships”").click()
    page.locator("#manage").get_by_role("button", name="Pin").click()
    expect(page.locator(".sidebar__label").first).to_have_text("Pinned")
    page.get_by_role("link", name="Options for “Ships”").click()
    page.get_by_label("Folder").fill("Sea")
    page.locator("#manage").get_by_role("button", name="Move").click()
    expect(page.locator(".sidebar__item--folder")).to_have_text("Sea")
    page.get_by_role("link", name="Options for “Ships”").click()
    page.locator("#manage").get_by_label("Title").fill("Boats")
    page.locator("#manage").get_by_role("button", name="Save").click()
    expect(page.locator(".chat__title")).to_have_text("Boats")
    expect(page.get_by_role("link", name="Options for “Boats”")).to_be_focused()
    page.get_by_role("link", name="Options for “Boats”").click()
    page.locator("#manage").get_by_role("button", name="Archive").click()
    expect(page.locator(".sidebar__item")).to_have_count(1)
    page.get_by_role("button", name="Undo").last.click()
    expect(page.get_by_text("1 conversation is back in the list.")).to_be_visible()


def test_many_are_deleted_at_once_and_undo_brings_them_back(new_page: NewPage, user: User) -> None:
    for number in range(3):
        talk(user, f"Talk {number}")
    page = new_page(user)
    page.goto("/chats/all")
    page.get_by_label("All on this page").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("3 conversations deleted.")).to_be_visible()
    expect(page.get_by_text("Nothing here")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".collection__row")).to_have_count(3)
    expect(page.locator(".sidebar__item")).to_have_count(3)


def test_the_open_one_is_deleted_and_undo_brings_it_back(new_page: NewPage, user: User) -> None:
    made = talk(user, "Ships")
    page = new_page(user)
    page.goto(f"/c/{made.pk}")
    page.locator(".sidebar__row").hover()
    page.get_by_role("link", name="Options for “Ships”").click()
    page.locator("#manage").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/chat")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".sidebar__item")).to_have_text("Ships")


def test_all_of_it_works_without_scripts(new_page: NewPage, user: User) -> None:
    made = talk(user, "Ships")
    page = new_page(user, javascript=False)
    page.goto("/chat")
    page.locator(".sidebar__row").hover()
    page.get_by_role("link", name="Options for “Ships”").click()
    page.get_by_label("Title").fill("Boats")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".chat__title")).to_contain_text("Boats")
    page.goto(f"/c/{made.pk}/manage")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("link", name="Recently deleted").click()
    page.get_by_label("Choose “Boats”").check()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("1 conversation restored.")).to_be_visible()


def test_the_list_goes_on_as_it_is_scrolled(new_page: NewPage, user: User) -> None:
    now = timezone.now()
    Conversation.objects.bulk_create(
        Conversation(user=user, title=f"Talk {number}", updated_at=now - timedelta(seconds=number))
        for number in range(100)
    )
    page = new_page(user)
    page.goto("/chat")
    expect(page.locator(".sidebar__item")).to_have_count(40)
    for shown in (80, 100):
        page.locator("[data-more]").scroll_into_view_if_needed()
        expect(page.locator(".sidebar__item")).to_have_count(shown)
    expect(page.locator(".sidebar__label")).to_have_count(len({now.date(), (now - timedelta(seconds=99)).date()}))


def test_a_temporary_chat_is_not_listed_and_its_draft_is_not_kept(new_page: NewPage, user: User) -> None:
    chat = ChatPage(new_page(user)).open()
    chat.page.get_by_role("link", name="Temporary chat").click()
    expect(chat.page.get_by_role("heading", name="Temporary chat")).to_be_visible()
    chat.ask("Say hi.")
    assert Conversation.objects.get().is_temporary
    expect(chat.page.locator(".sidebar__item")).to_have_count(0)
    expect(chat.replies.last.get_by_role("button", name="Good reply")).to_have_count(0)
    chat.box.fill("a secret")
    chat.page.reload()
    expect(chat.box).to_have_value("")
    assert chat.page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('draft')).length") == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_and_nothing_sticks_out(new_page: NewPage, user: User, dark: bool) -> None:
    made = talk(user, "A conversation with a rather long title that has to be cut somewhere", "ships", "ships")
    page = new_page(user, dark=dark, phone=dark)
    for address in ("/chats/all", "/chats/all?q=ships", f"/c/{made.pk}/manage", "/chat?temporary"):
        page.goto(address)
        found = Axe().run(page).response["violations"]
        serious = [issue for issue in found if issue["impact"] in ("serious", "critical")]
        assert not serious, [(issue["id"], [node["html"] for node in issue["nodes"]]) for issue in serious]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
