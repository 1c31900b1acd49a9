"""Moving about a page without a pointer."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

MOST_PRESSES = 120


def reach(page: Page, wanted: Locator, key: str = "Tab") -> None:
    """Press Tab until it has the focus, which must show."""
    page.wait_for_load_state()  # what is read already may not hear keys yet
    for _press in range(MOST_PRESSES):
        if wanted.evaluate("element => element === document.activeElement"):
            assert wanted.evaluate("element => element.matches(':focus-visible')"), f"{wanted}: the focus does not show"
            return
        page.keyboard.press(key)
    raise AssertionError(f"{wanted} is not reached by {key}")


def press(page: Page, wanted: Locator, key: str = "Enter", by: str = "Tab") -> None:
    """Reach it, then press `key`."""
    reach(page, wanted, by)
    page.keyboard.press(key)


def write(page: Page, wanted: Locator, text: str) -> None:
    """Reach a field and put `text` in the place of what it holds."""
    reach(page, wanted)
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def holds_the_focus(page: Page) -> bool:
    """Whether something on the page has the focus: it falls to the page itself when what had it is taken away."""
    return bool(page.evaluate("document.activeElement !== document.body"))
