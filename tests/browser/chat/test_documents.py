"""Documents in a browser, with the real worker, embedding model and chat model."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from accounts.models import User
from chat.models import Citation, Conversation, Document
from tests import documents
from tests.browser.chat_page import PATIENCE, ChatPage
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BIRDS = """# The aviary

The aviary was built in 1987 by Marta Lindqvist.

## Owls

The grey owl weighs 740 grams and eats three mice a day.

## Parrots

The parrots are fed with sunflower seeds at noon.
"""


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


def dropped(chat: ChatPage, name: str, text: str) -> None:
    """What a browser does when a file is let go above the page."""
    transfer = chat.page.evaluate_handle(
        """([name, text]) => {
          const moved = new DataTransfer();
          moved.items.add(new File([text], name));
          return moved;
        }""",
        [name, text],
    )
    for event in ("dragenter", "dragover", "drop"):
        chat.page.dispatch_event("[data-thread]", event, {"dataTransfer": transfer})


def test_attach_drop_refuse_and_remove(new_page: NewPage, user: User, tmp_path: Path) -> None:
    chat = ChatPage(new_page(user, phone=True)).open()
    chat.page.wait_for_load_state("networkidle")
    (tmp_path / "birds.md").write_text(BIRDS)
    (tmp_path / "report.pdf").write_bytes(b"MZ\x90\0program")
    (tmp_path / "notes.pdf").write_bytes(documents.pdf("Owls fly.", "Badgers dig."))
    with chat.page.expect_file_chooser() as chooser:
        chat.page.get_by_role("button", name="Attach documents").press("Enter")
    chooser.value.set_files([tmp_path / "birds.md", tmp_path / "report.pdf", tmp_path / "notes.pdf"])
    tray = chat.page.get_by_role("list", name="Documents of this conversation")
    expect(tray.locator('[data-state="ready"]')).to_have_count(2, timeout=PATIENCE)
    expect(tray).to_contain_text("This is a program, whatever its name says.")
    dropped(chat, "prices.csv", "name,price\nowl,7\n")
    expect(tray.get_by_role("link", name="prices.csv")).to_be_visible(timeout=PATIENCE)
    tray.get_by_role("button", name="Remove report.pdf").click()
    expect(tray).not_to_contain_text("report.pdf")
    expect(chat.page.get_by_role("button", name="Attach documents")).to_be_focused()
    chat.page.reload()
    expect(tray.get_by_role("listitem")).to_have_count(3)
    axe = Axe().run(chat.page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    assert not axe.response["violations"], axe.generate_report()
    tray.get_by_role("link", name="notes.pdf").click()
    expect(chat.page.get_by_text("page 2")).to_be_visible()
    axe = Axe().run(chat.page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    assert not axe.response["violations"], axe.generate_report()


def test_a_message_waits_for_its_documents(new_page: NewPage, user: User, stack: Stack) -> None:
    chat = ChatPage(new_page(user)).open()
    chat.page.wait_for_load_state("networkidle")
    stack.kill("worker")
    dropped(chat, "birds.md", BIRDS)
    expect(chat.page.locator('[data-state="waiting"]')).to_be_visible()
    chat.say("Who built the aviary?")
    expect(chat.page.get_by_text("Sent as soon as the documents are read.")).to_be_visible()
    assert not Conversation.objects.exists()
    stack.start("worker")
    expect(chat.replies).to_have_count(1, timeout=PATIENCE)
    chat.finished()
    assert Document.objects.get().conversation == Conversation.objects.get()


def test_a_reply_cites_passages_that_open_where_they_stand(new_page: NewPage, user: User) -> None:
    chat = ChatPage(new_page(user, phone=True, dark=True)).open()
    chat.page.wait_for_load_state("networkidle")
    dropped(chat, "birds.md", BIRDS)
    dropped(chat, "prices.csv", "bird,price\ngrey owl,740\nparrot,95\n")
    chat.ask("How many grams does the grey owl weigh?")
    sources = chat.replies.last.get_by_role("region", name="Sources")
    expect(sources).to_contain_text("birds.md, line 5, Owls")
    expect(sources.get_by_role("row", name="grey owl")).to_contain_text("740")
    expect(sources).not_to_contain_text("Found by words alone")
    assert set(Citation.objects.get(passage__content__startswith="## Owls").ranks) == {"words", "substrings", "meaning"}
    chat.replies.last.get_by_role("button", name="How this reply was made").click()
    expect(chat.page.locator(".receipt:popover-open")).to_contain_text("birds.md, line 5")
    chat.page.keyboard.press("Escape")
    axe = Axe().run(chat.page, context="#thread", options={"runOnly": ["wcag2a", "wcag2aa"]})
    assert not axe.response["violations"], axe.generate_report()
    sources.get_by_role("link", name="birds.md, line 5, Owls").click()
    passage = chat.page.locator(":target")
    expect(passage).to_contain_text("740 grams")
    expect(passage).to_be_in_viewport()
    assert passage.evaluate("one => getComputedStyle(one).backgroundColor") != "rgba(0, 0, 0, 0)"
