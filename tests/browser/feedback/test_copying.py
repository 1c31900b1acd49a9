"""Copying words of a reply is told to the server."""

from __future__ import annotations

import pytest

from feedback.models import ImplicitSignal
from tests import factories
from tests.browser.chat_page import ChatPage
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MARK = "(element) => document.getSelection().selectAllChildren(element)"


def test_copied_words_are_told_and_kept_with_consent(new_page: NewPage, stack: Stack) -> None:
    user = factories.consenting_user()
    reply = factories.conversation(user, ("How tall is it?", "The tower is **300 m** tall."))
    page = ChatPage(new_page(user)).open(f"/c/{reply.conversation_id}").page
    page.wait_for_load_state()
    page.locator("#thread [data-blocks]").evaluate(MARK)
    with page.expect_response("**/api/feedback/copied") as answer:
        page.keyboard.press("Control+c")
    assert answer.value.status == 204
    assert ImplicitSignal.objects.filter(message=reply, kind="copied").count() == 1
