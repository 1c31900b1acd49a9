"""Hostile texts everywhere a text is shown, in Chromium under the real Content-Security-Policy: none runs or loads."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Request

from accounts.models import User
from chat import exporting, sharing
from chat.models import Conversation, Message, Reply, Share
from tests.browser.chat.hostile import payloads
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TEXTS = [text.replace("\0", "") for text in payloads()]
# What a reply may never contain, after the browser has parsed it, and parsed again what it wrote out.
HARM = """roots => roots.flatMap(root => {
  const harm = [];
  const look = () => {
    for (const bad of root.querySelectorAll(
      "script,iframe,object,embed,form,input,style,link,base,meta,svg,img,video,audio,template,dialog,slot"))
      harm.push(bad.outerHTML.slice(0, 200));
    for (const element of root.querySelectorAll("*")) for (const { name, value } of element.attributes) {
      if (name.startsWith("on") || name === "style" || name === "id" || name === "name") harm.push(`${name}=${value}`);
      if (["href", "src", "xlink:href", "action", "formaction"].includes(name)
        && URL.canParse(value, location.href)
        && !["http:", "https:", "mailto:", location.protocol].includes(new URL(value, location.href).protocol))
        harm.push(`${name}=${value}`);
    }
  };
  look();
  root.innerHTML = root.innerHTML;
  look();
  return harm;
})"""


@pytest.fixture
def user(stack: Stack) -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@example.org", "correct horse battery")


@pytest.fixture
def guarded(new_page: NewPage, stack: Stack) -> Callable[..., tuple[Page, list[str]]]:
    """A page that notes every call of `pwned()` and every request to elsewhere."""

    def open_page(user: User | None = None) -> tuple[Page, list[str]]:
        page = new_page(user)
        harm: list[str] = []
        page.expose_function("noted", lambda what: harm.append(str(what)))
        page.add_init_script("window.pwned = () => window.noted('ran'); window.alert = window.pwned;")

        def look(request: Request) -> None:
            if not request.url.startswith((stack.url, "file:", "data:")):
                harm.append(request.url)

        page.on("request", look)
        return page, harm

    return open_page


def conversation_of(user: User, texts: list[str]) -> Conversation:
    """A conversation that has each text as a question and as the reply to it."""
    conversation = Conversation.objects.create(user=user, title="</title><script>pwned()</script>")
    now = timezone.now()
    messages: list[Message] = []
    for text in texts:
        for role in ("user", "assistant"):
            parent = messages[-1] if messages else None
            messages.append(Message(conversation=conversation, parent=parent, role=role, content=text, created_at=now))
    Message.objects.bulk_create(messages)
    done = {"state": "complete", "finished_at": now, "queue": "x", "priority": 0, "seed": 1, "max_tokens": 1}
    Reply.objects.bulk_create(Reply(message=message, user=user, **done) for message in messages[1::2])
    conversation.current_leaf = messages[-1]
    conversation.save()
    return conversation


def settle(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)


def test_on_the_chat_page(guarded: Callable[..., tuple[Page, list[str]]], user: User) -> None:
    page, harm = guarded(user)
    for start in range(0, 200, 40):
        conversation = conversation_of(user, TEXTS[start : start + 40])
        page.goto(f"/c/{conversation.pk}")
        settle(page)
        assert page.locator("[data-blocks]").count() == 40
        assert page.locator(".turn__text").evaluate_all(HARM) == []
    assert harm == []


def test_on_a_shared_page_and_in_an_export(
    guarded: Callable[..., tuple[Page, list[str]]], user: User, tmp_path: Path
) -> None:
    conversation = conversation_of(user, TEXTS)
    first = Message.objects.get(conversation=conversation, parent=None)
    assert conversation.current_leaf is not None
    shared = sharing.share(
        conversation=conversation,
        first=first,
        last=conversation.current_leaf,
        title=conversation.title,
        is_anonymous=True,
        is_indexed=False,
        days=None,
        now=timezone.now(),
    )
    page, harm = guarded()
    shown, number = 0, 0
    while shown < len(TEXTS):
        number += 1
        page.goto(f"/s/{shared.token}?page={number}")
        settle(page)
        on_page = page.locator(".turn__text").count()
        assert on_page
        assert page.locator(".turn__text").evaluate_all(HARM) == []
        shown += on_page
    assert shown == len(TEXTS)
    exported = tmp_path / "export.html"
    exported.write_text(exporting.export(conversation, "html"))
    page.goto(exported.as_uri())
    settle(page)
    assert page.locator("div.assistant").evaluate_all(HARM) == []
    assert harm == []
    page.goto("about:blank")


def test_in_titles_folders_search_and_links(guarded: Callable[..., tuple[Page, list[str]]], user: User) -> None:
    now = timezone.now()
    titles = list({text[:120] for text in TEXTS})
    Conversation.objects.bulk_create(
        Conversation(user=user, title=title, updated_at=now, is_temporary=False) for title in titles
    )
    page, harm = guarded(user)
    page.goto("/chats/all")
    shown = 0
    while True:
        settle(page)
        shown += page.locator(".collection__row").count()
        # The titles are text, and nothing else: each row holds what its template holds.
        assert page.locator(".collection__title > *").count() == 0
        older = page.get_by_role("link", name="Older conversations").last
        if not older.count() or "/chats/all" not in (older.get_attribute("href") or ""):
            break
        page.goto(older.get_attribute("href") or "")
    assert shown == len(titles)
    page.goto("/chats/all?q=%3Cscript")
    settle(page)
    assert page.locator(".collection__hit").count() > 10
    assert page.locator(".collection__hit *:not(mark, span)").count() == 0
    made = Conversation.objects.filter(title__startswith="</title>").first()
    assert made is not None
    page.goto(f"/c/{made.pk}/manage")
    settle(page)
    page.goto(f"/c/{made.pk}")
    settle(page)
    assert harm == []
    assert not Share.objects.exists()
