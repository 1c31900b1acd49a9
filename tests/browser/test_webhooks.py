"""The log of a webhook on its page."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.webhooks import endpoints, publishing
from tests import signing_in
from tests.stack.browser import NewPage
from tests.stack.processes import Stack

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("phone", [False, True], ids=["desk", "phone"])
def test_a_message_that_is_opened_stays_within_the_page(new_page: NewPage, stack: Stack, phone: bool) -> None:
    person, now = signing_in.person("coder@example.org"), timezone.now()
    endpoint = endpoints.create(user=person, url="https://example.invalid/hooks", events=["quota.near"], now=now)[0]
    publishing.send_test(endpoint=endpoint, now=now)
    page = new_page(person, phone=phone)
    page.goto(f"/settings/webhooks/{endpoint.pk}")
    page.locator("main summary").click()
    expect(page.get_by_text(str(endpoint.pk))).to_be_visible()
    table = page.locator("main .table-wrap")
    assert table.evaluate("element => element.scrollWidth <= element.clientWidth"), "it has to be scrolled sideways"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
