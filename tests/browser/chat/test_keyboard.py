"""All of the chat without a pointer: the tree, what is asked of a reply, the list, documents, and what goes out and in.

`tests/browser/test_keyboard.py` walks from signing in through the plain way of a message.
"""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import expect

from accounts.models import User
from chat import saved_prompts
from chat.consistency import proposing
from chat.models import Certainty, ConsistencyCheck, Conversation, Message, Reply
from feedback.models import Correction, Rating
from tests import factories
from tests.browser.chat_page import PATIENCE, ChatPage
from tests.browser.keyboard import holds_the_focus, press, reach, write
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TALL = "The tower is 300 m tall.\n\n```python\nprint('tall')\n```\n"


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


def opened(new_page: NewPage, user: User, address: str = "/chat") -> ChatPage:
    chat = ChatPage(new_page(user)).open(address)
    chat.page.wait_for_load_state("networkidle")
    return chat


def test_the_tree(new_page: NewPage, user: User, endless_replies: None) -> None:
    last = factories.conversation(user, ("How tall is the tower?", TALL))
    chat = opened(new_page, user, f"/c/{last.conversation_id}")
    page, keyboard = chat.page, chat.page.keyboard

    keyboard.type("Tell me more.")
    keyboard.press("Enter")
    chat.wait_for_words()
    press(page, page.get_by_role("button", name="Stop"))
    expect(chat.box).to_be_focused()
    expect(chat.replies.last).to_contain_text("You stopped this reply.", timeout=PATIENCE)
    press(page, chat.replies.last.get_by_role("button", name="Continue"), by="Shift+Tab")
    expect(chat.replies.last.get_by_text("2/2")).to_be_visible()
    chat.wait_for_words()
    # Who stands on the way to the other variant while the reply ends stands there still.
    reach(page, chat.replies.last.get_by_role("link", name="Previous variant"), "Shift+Tab")
    keyboard.press("Escape")
    expect(chat.replies.last).to_contain_text("You stopped this reply.", timeout=PATIENCE)
    expect(chat.replies.last.get_by_role("link", name="Previous variant")).to_be_focused()

    edit = chat.questions.last.get_by_role("link", name="Edit")
    press(page, edit, by="Shift+Tab")
    expect(page.get_by_label("Edit your message")).to_be_focused()
    keyboard.press("Escape")
    expect(edit).to_be_focused()
    keyboard.press("Enter")
    write(page, page.get_by_label("Edit your message"), "Tell me less.")
    keyboard.press("Enter")
    expect(chat.questions.last.get_by_text("2/2")).to_be_visible()
    expect(chat.box).to_be_focused()
    keyboard.press("Escape")
    chat.finished()

    press(page, chat.questions.last.get_by_role("link", name="Previous variant"), by="Shift+Tab")
    expect(chat.questions.last).to_contain_text("Tell me more.")
    expect(chat.questions.last.get_by_role("link", name="Next variant")).to_be_focused()
    press(page, chat.questions.last.get_by_role("button", name="Delete this variant"))
    press(page, page.get_by_role("dialog").get_by_role("button", name="Delete"))
    expect(chat.questions.last).to_contain_text("Tell me less.")
    expect(chat.questions.last.locator(".pager__place")).to_have_count(0)

    press(page, chat.replies.first.get_by_role("button", name="Fork the conversation here"))
    expect(page.get_by_role("button", name="Only this path").and_(page.locator(":focus"))).to_be_visible()
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile(str(last.conversation_id)))
    expect(chat.questions).to_have_count(1)
    assert Conversation.objects.count() == 2


def test_what_is_asked_of_a_reply(new_page: NewPage, user: User) -> None:
    answer = factories.conversation(user, ("How tall is the tower?", TALL))
    span = {"start": 13, "end": 16, "probability": 0.4, "alternatives": [["330", 0.3]]}
    Certainty.objects.create(reply=answer.reply, spans=[span])
    Reply.objects.update(keeps_certainty=True)
    Conversation.objects.update(reply_tokens=24)
    chat = opened(new_page, user, f"/c/{answer.conversation_id}")
    page, keyboard, reply = chat.page, chat.page.keyboard, chat.replies.last

    reach(page, reply.locator("mark.unsure"), "Shift+Tab")
    expect(page.get_by_role("tooltip")).to_have_text("The model gave this 40%. Or: 330 30%")
    keyboard.press("Escape")
    expect(page.get_by_role("tooltip")).to_be_hidden()
    press(page, reply.get_by_role("button", name="Wrap lines"), "Space")
    expect(reply.get_by_role("button", name="Wrap lines")).to_have_attribute("aria-pressed", "true")
    press(page, reply.get_by_role("button", name="Words the model was unsure of"), "Space")
    expect(reply.locator("mark.unsure")).to_have_count(0)

    press(page, reply.get_by_role("button", name="Bad reply"))
    first_reason = reply.get_by_role("checkbox").first
    expect(first_reason).to_be_focused()
    keyboard.press("Space")
    press(page, reply.get_by_role("button", name="Save", exact=True))
    expect(reply.get_by_text("Your rating")).to_be_visible()
    assert holds_the_focus(page)
    press(page, reply.get_by_text("Your rating"))
    press(page, reply.get_by_role("button", name="Allow it for this rating"))
    expect(reply.get_by_role("button", name="Do not use this rating")).to_be_focused()
    press(page, reply.locator("[data-correct] summary"))
    write(page, page.get_by_label("Which words are wrong?"), "300 m")
    write(page, page.get_by_label("What would be right?"), "330 m")
    write(page, page.get_by_label("Source (optional)"), "https://example.org/tower")
    keyboard.press("Enter")
    expect(reply.get_by_text("1 correction")).to_be_visible()
    assert holds_the_focus(page)

    press(page, reply.get_by_role("button", name="Ask again in other words"), by="Shift+Tab")
    page.wait_for_url("**/checks/*")
    check = ConsistencyCheck.objects.get()
    proposing.by_rule_alone(check, now=check.created_at)  # the model's wordings have tests of their own
    write(page, page.get_by_label("Wording 1"), "What is the tower's height, in metres?")
    write(page, page.get_by_label("Wording 2"), "")
    keyboard.press("Backspace")
    press(page, page.get_by_role("button", name="Ask again"))
    anyway = page.get_by_label("Ask anyway")
    if anyway.is_visible():
        press(page, anyway, "Space")
        press(page, page.get_by_role("button", name="Ask again"))
    reach(page, page.get_by_role("button", name="Stop them"))
    # The button goes with the answers' end: what came of them has the focus then.
    expect(page.locator("#verdict")).to_be_focused(timeout=PATIENCE)
    press(page, page.get_by_role("link", name="Back to the conversation"), by="Shift+Tab")
    expect(reply.get_by_role("link", name="Asked in other words")).to_be_visible()
    assert Rating.objects.get().value == -1
    assert Correction.objects.get().quote == "300 m"


def test_a_question_back(new_page: NewPage, user: User) -> None:
    first = factories.conversation(user, ("Tell me about Mercury.", "gone")).parent
    first.children.all().delete()
    question = factories.asking(first)
    Conversation.objects.update(asks_first=True, current_leaf=question, reply_tokens=24)
    chat = opened(new_page, user, f"/c/{question.conversation_id}")
    press(chat.page, chat.page.get_by_role("button", name="The metal"), by="Shift+Tab")
    chat.finished()
    assert Message.objects.get(parent=question).content == "The metal"
    press(chat.page, chat.page.get_by_role("button", name="Settings of this chat"), by="Shift+Tab")
    reach(chat.page, chat.page.get_by_label("Ask first when my request is unclear"))
    chat.page.keyboard.type("No")
    press(chat.page, chat.page.locator("#chat-settings").get_by_role("button", name="Save"))
    expect(chat.page.get_by_text("Saved. It acts from the next reply on.")).to_be_visible()
    expect(chat.page.get_by_role("button", name="Settings of this chat")).to_be_focused()
    assert Conversation.objects.get().asks_first is False


def test_the_list(new_page: NewPage, user: User) -> None:
    for number in range(3):
        made = factories.conversation(user, ("Hello", "Hi")).conversation
        Conversation.objects.filter(pk=made.pk).update(title=f"Talk {number}")
    page = opened(new_page, user).page
    options = page.get_by_role("link", name="Options for “Talk 1”")
    press(page, options, by="Shift+Tab")
    write(page, page.locator("#manage").get_by_label("Folder"), "Sea")
    press(page, page.locator("#manage").get_by_role("button", name="Move"))
    expect(page.locator(".sidebar__item--folder")).to_have_text("Sea")
    expect(page.locator("[data-conversations] a:focus")).to_be_visible()
    press(page, page.locator(".sidebar__item--folder"), by="Shift+Tab")
    press(page, page.get_by_text("Rename or remove this folder"))
    write(page, page.get_by_label("Name of the folder"), "Ocean")
    press(page, page.get_by_role("button", name="Save"))
    expect(page.get_by_role("heading", name="Ocean")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("searchbox")).to_be_focused()
    press(page, page.get_by_role("link", name="All", exact=True))
    press(page, page.get_by_label("All on this page"), "Space")
    press(page, page.get_by_role("button", name="Delete"))
    expect(page.get_by_text("3 conversations deleted.")).to_be_visible()
    expect(page.get_by_text("Nothing here")).to_be_visible()
    assert holds_the_focus(page)
    press(page, page.get_by_role("button", name="Undo"))
    expect(page.locator(".collection__row")).to_have_count(3)
    assert holds_the_focus(page)
    press(page, page.get_by_label("Choose “Talk 0”"), "Space")
    press(page, page.get_by_role("button", name="Archive"), by="Shift+Tab")
    expect(page.locator(".collection__row")).to_have_count(2)
    expect(page.get_by_role("button", name="Archive")).to_be_focused()
    page.keyboard.press("Control+z")
    expect(page.locator(".collection__row")).to_have_count(3)
    expect(page.get_by_role("button", name="Archive")).to_be_focused()

    press(page, page.get_by_label("Choose “Talk 2”"), "Space")
    press(page, page.get_by_role("button", name="Delete"), by="Shift+Tab")
    expect(page.locator(".collection__row")).to_have_count(2)
    press(page, page.get_by_role("link", name="Recently deleted"), by="Shift+Tab")
    press(page, page.get_by_label("Choose “Talk 2”"), "Space")
    press(page, page.get_by_role("button", name="Restore"), by="Shift+Tab")
    expect(page.get_by_text("1 conversation restored.")).to_be_visible()
    assert Conversation.objects.filter(deleted_at=None).count() == 3


def test_documents_and_saved_prompts(new_page: NewPage, user: User, tmp_path: Path) -> None:
    chat = opened(new_page, user, "/settings/chat")
    page, keyboard = chat.page, chat.page.keyboard
    write(page, page.get_by_label("About you"), "I live in Oslo.")
    write(page, page.get_by_label("Name"), "Weigh")
    write(page, page.get_by_label("Text"), "How many grams does the {{bird}} weigh?")
    press(page, page.get_by_role("button", name="Save the prompt"))
    expect(page.locator(".prompt summary")).to_have_text("Weigh")
    saved_prompts.save(user=user, name="Add", text="Add it up.")

    page.goto("/chat?temporary")
    page.wait_for_load_state("networkidle")
    for name, text in {"birds.md": "# Birds\n\nThe grey owl weighs 740 grams.\n", "gone.md": "Nothing.\n"}.items():
        (tmp_path / name).write_text(text)
    attach = page.get_by_role("button", name="Attach documents")
    reach(page, attach, "Shift+Tab")
    with page.expect_file_chooser() as chooser:
        keyboard.press("Enter")
    chooser.value.set_files([tmp_path / "birds.md", tmp_path / "gone.md"])
    tray = page.get_by_role("list", name="Documents of this conversation")
    expect(tray.locator('[data-state="ready"]')).to_have_count(2, timeout=PATIENCE)
    press(page, tray.get_by_role("button", name="Remove gone.md"), by="Shift+Tab")
    expect(tray.get_by_role("listitem")).to_have_count(1)
    expect(attach).to_be_focused()

    press(page, page.get_by_role("button", name="Settings of this chat"), by="Shift+Tab")
    write(page, page.get_by_label("Longest reply"), "24")
    press(page, page.locator("#chat-settings").get_by_role("button", name="Save"))
    reach(page, chat.box)
    keyboard.type("/")
    expect(page.get_by_role("option")).to_have_text(["Add", "Weigh"])
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="bird")).to_be_focused()
    keyboard.type("grey owl")
    keyboard.press("Enter")
    expect(chat.box).to_be_focused()
    expect(chat.box).to_have_value("How many grams does the grey owl weigh?")
    keyboard.press("Enter")
    chat.finished()
    press(page, chat.replies.last.get_by_role("region", name="Sources").get_by_role("link").first, by="Shift+Tab")
    expect(page.locator(":target")).to_contain_text("740 grams")
    assert Conversation.objects.get().is_temporary


def test_what_goes_out_and_comes_in(new_page: NewPage, user: User) -> None:
    last = factories.conversation(user, ("How tall is the tower?", TALL))
    chat = opened(new_page, user, f"/c/{last.conversation_id}")
    page, keyboard = chat.page, chat.page.keyboard
    press(page, page.get_by_role("button", name="Conversation", exact=True), by="Shift+Tab")
    expect(page.get_by_role("link", name="Share")).to_be_focused()
    keyboard.press("Enter")
    press(page, page.get_by_role("button", name="Make a link"))
    link = page.locator(".list__main a")
    press(page, link)
    press(page, page.get_by_role("button", name="Continue this chat"))
    expect(chat.questions).to_have_count(1)
    expect(page).not_to_have_url(re.compile(str(last.conversation_id)))
    page.goto(f"/c/{last.conversation_id}/share")
    press(page, page.get_by_role("button", name="Take back"))
    expect(link).to_have_count(0)

    page.goto(f"/c/{last.conversation_id}/manage")
    for name in ("Markdown", "HTML", "JSON"):
        reach(page, page.get_by_role("link", name=name))
        with page.expect_download() as download:
            keyboard.press("Enter")
        assert "tower" in download.value.path().read_text()
    page.goto("/chats/all")
    press(page, page.get_by_role("link", name="Export and import"))
    said = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Hello"]}}
    export = [{"id": "x", "title": "From elsewhere", "mapping": {"a": {"message": said, "parent": None}}}]
    reach(page, page.get_by_label("File", exact=True))
    with page.expect_file_chooser() as chooser:
        keyboard.press("Enter")
    file = {"name": "conversations.json", "mimeType": "application/json", "buffer": json.dumps(export).encode()}
    chooser.value.set_files([file])  # type: ignore[list-item]
    press(page, page.get_by_role("button", name="Import"))
    expect(page.get_by_text("1 conversation came in.")).to_be_visible()
