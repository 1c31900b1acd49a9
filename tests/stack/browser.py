"""A real Chromium. Every page fails its test when it logs an error, throws, or breaks the Content-Security-Policy."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, StorageState, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.stack import chromium
from tests.stack.processes import ROOT, Stack

ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PATIENCE_MILLISECONDS = 30_000
FAILURES = ROOT / "var" / "test-failures"
# A script for pages of tests in which an answer does not come.
LIMITS_TWENTY_TIMES_SHORTER = (
    "const timeout = AbortSignal.timeout; AbortSignal.timeout = (ms) => timeout.call(AbortSignal, ms / 20);"
)

NewPage = Callable[..., Page]


def arguments() -> list[str]:
    """What Chromium is started with."""
    return [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: Playwright keeps an event loop in this thread, beside which asynchronous tests cannot run.

    Whole files, because a run that is divided hands out files.
    """
    files = {item.path for item in items if "browser" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in files)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    if call.when == "call" and call.excinfo and (unanswered := getattr(item, "_unanswered", None)):
        call.excinfo.value.add_note("The browser waits for an answer to:\n" + "\n".join(unanswered.values()))
    report = yield
    if report.when == "call" and report.failed:
        for number, page in enumerate(getattr(item, "_pages", [])):
            FAILURES.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^\w.-]+", "-", item.name)
            with suppress(PlaywrightError):  # a page too large to picture must not end the whole run
                page.screenshot(path=FAILURES / f"{name}-{number}.png", full_page=True)
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium.find()
    if path is None:
        pytest.fail("No Chromium: `make test` installs one or says how.", pytrace=False)
    # Django sees Playwright's event loop in this thread and would refuse its database calls; none of them is awaited.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments())
        yield browser
        browser.close()


@pytest.fixture
def new_page(request: pytest.FixtureRequest, browser: Browser, stack: Stack) -> Iterator[NewPage]:
    """Opens a page in a context (a person's browser) of its own.

    `new_page(user=None, *, dark=False, phone=False, locale="en-GB", javascript=True, kept=None, allowing=())`: signed
    in as `user`; `kept` is the storage state of another context, of a browser that was closed and opened again;
    `allowing` lists parts of console messages that the test provokes on purpose, such as "status of 429".
    """
    problems: list[str] = []
    pages: list[Page] = []
    request.node._pages = pages
    request.node._unanswered = unanswered = {}

    def open_page(
        user: Any = None,
        *,
        dark: bool = False,
        phone: bool = False,
        locale: str = "en-GB",
        javascript: bool = True,
        kept: StorageState | None = None,
        allowing: tuple[str, ...] = (),
    ) -> Page:
        context = browser.new_context(
            base_url=stack.url,
            color_scheme="dark" if dark else "light",
            viewport=PHONE if phone else DESKTOP,
            has_touch=phone,
            locale=locale,
            java_script_enabled=javascript,
            storage_state=kept,
        )
        if user is not None:
            context.add_cookies([_session_cookie(user, stack)])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MILLISECONDS)

        def note(text: str) -> None:
            if not any(part in text for part in allowing):
                problems.append(text)

        def read(message: ConsoleMessage) -> None:
            if message.type == "error" or "Content Security Policy" in message.text:
                note(f"{page.url}: {message.text} ({message.location.get('url', '')})")

        # From the start: what asks for a file while the browser is only told that it is for us to choose asks nobody.
        page.on("filechooser", lambda _chooser: None)
        page.on("console", read)
        page.on("request", lambda asked: unanswered.update({asked: f"{asked.method} {asked.url}"}))
        for end in ("requestfinished", "requestfailed"):
            page.on(end, lambda asked: unanswered.pop(asked, None))
        page.on("pageerror", lambda error: note(f"{page.url}: {error.stack or error}"))
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.context.close()
    if problems:
        pytest.fail("The browser complained:\n" + "\n".join(problems), pytrace=False)


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """A desktop page, in English, of somebody who is not signed in."""
    return new_page()


def _session_cookie(user: Any, stack: Stack) -> Any:
    client = Client()
    client.force_login(user)
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    return {"name": settings.SESSION_COOKIE_NAME, "value": value, "url": stack.url, "httpOnly": True}
