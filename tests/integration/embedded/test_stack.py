"""The processes and the browser that other tests stand on."""

from __future__ import annotations

import urllib.request

import pytest

from tests.stack.browser import NewPage
from tests.stack.processes import Stack


@pytest.mark.slow
def test_every_part_answers_and_comes_back_after_a_kill(stack: Stack) -> None:
    before = stack.pid("web")
    stack.restart("web")
    assert stack.pid("web") != before
    with urllib.request.urlopen(stack.url, timeout=10) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{stack.inference_url}/readyz", timeout=10) as answer:
        assert answer.status == 200


@pytest.mark.browser
@pytest.mark.slow
def test_the_start_page_speaks_the_browsers_language_on_a_phone_in_the_dark(new_page: NewPage) -> None:
    page = new_page(dark=True, phone=True, locale="zh-CN")
    page.goto("/")
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
