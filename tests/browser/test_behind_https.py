"""A site behind https, by a name of its own, in a browser that believes its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from config.embedded.sockets import free_port
from tests import signing_in
from tests.stack import chromium, https
from tests.stack.browser import NewPage, arguments
from tests.stack.processes import Stack

pytestmark = pytest.mark.browser

NAME = "chat.example.org"
PLANT = """async () => {
  localStorage.setItem("kept", "words");
  await new Promise((done) => { indexedDB.open("kept").onsuccess = done; });
}"""
KEPT = "async () => [...Object.keys(localStorage), ...(await indexedDB.databases()).map((found) => found.name)]"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> https.Certificate:
    return https.make_certificate(NAME, tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def stack(stack: Stack, certificate: https.Certificate) -> Iterator[Stack]:
    """The same product with a second web process, which is told that it stands behind a proxy with https."""
    outer, inner = free_port(), free_port()
    env = {**stack.env, "SITE_URL": f"https://{NAME}:{outer}", "PORT": str(inner), "BEHIND_PROXY": "true"}
    behind = Stack(env)
    try:
        behind.start("web")
        with https.proxy(certificate, port=outer, to=inner):
            yield behind
    finally:
        behind.close()


@pytest.fixture(scope="module")
def browser(browser: Browser, certificate: https.Certificate) -> Iterator[Browser]:
    """Another Chromium, in which the name is this machine's and the certificate like one from an authority."""
    trusting = [
        f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
        f"--ignore-certificate-errors-spki-list={certificate.pin}",
    ]
    trusted = browser.browser_type.launch(executable_path=chromium.find(), args=[*arguments(), *trusting])
    yield trusted
    trusted.close()


@pytest.fixture
def person(stack: Stack) -> User:
    return signing_in.person("far@example.org")


def sign_in(page: Page, person: User) -> None:
    page.goto("/accounts/login/")
    page.locator("input[name=login]").fill(person.email)
    page.locator("input[name=password]").fill(signing_in.PASSWORD)
    page.locator("input[name=password]").press("Enter")
    expect(page.locator("#message")).to_be_visible()


def test_cookies_belong_to_this_host_over_https_alone(new_page: NewPage, person: User) -> None:
    page = new_page()
    sign_in(page, person)
    cookies: dict[str, Any] = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert {"__Host-sessionid", "__Host-csrftoken"} <= set(cookies)
    for name, cookie in cookies.items():
        assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", NAME), name
        assert cookie["sameSite"] == "Lax", name
    assert cookies["__Host-sessionid"]["httpOnly"]
    assert "__Host-sessionid" not in page.evaluate("document.cookie")


def test_a_browser_that_was_here_once_never_speaks_plain_http_again(new_page: NewPage, stack: Stack) -> None:
    page, plain = new_page(), stack.url.replace("https:", "http:")
    with pytest.raises(httpx.TransportError):  # at this port nothing but TLS is spoken
        httpx.get(plain.replace(NAME, "127.0.0.1"))
    answers: list[Any] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright takes no built-in
    page.goto("/")
    kinds = {urlsplit(answer.url).path.partition("/")[2][:6] for answer in answers}
    assert "static" in kinds
    for answer in answers:
        assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains; preload", answer.url
        assert answer.headers["x-content-type-options"] == "nosniff", answer.url
    start = next(answer for answer in answers if urlsplit(answer.url).path == "/").headers
    assert start["cross-origin-opener-policy"] == "same-origin"
    assert start["x-frame-options"] == "DENY"
    assert "default-src 'none'" in start["content-security-policy"]
    page.goto(plain)
    assert page.url.startswith(stack.url), "it asked by https of its own accord"


def test_what_no_middleware_sees_has_the_headers_too(stack: Stack) -> None:
    answer = httpx.post(f"http://127.0.0.1:{stack.env['PORT']}/billing/webhook", content=b"{}")
    assert (answer.status_code, answer.text) == (400, "Not a signed event.")
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains; preload"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_signing_out_empties_what_the_browser_kept(new_page: NewPage, person: User) -> None:
    page = new_page()
    sign_in(page, person)
    page.evaluate(PLANT)
    assert page.evaluate(KEPT) == ["kept", "kept"], "no script of ours knows these names"
    page.get_by_role("button", name="Your account").last.click()
    page.get_by_role("button", name="Sign out", exact=True).last.click()
    expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
    assert page.evaluate(KEPT) == []
    assert "__Host-sessionid" not in {cookie["name"] for cookie in page.context.cookies()}


def test_who_asks_in_plain_http_is_sent_to_https(stack: Stack) -> None:
    site = urlsplit(stack.url)
    answer = httpx.get(f"http://127.0.0.1:{stack.env['PORT']}/chat", headers={"Host": site.netloc})
    assert (answer.status_code, answer.headers["location"]) == (301, f"{stack.url}/chat")
    program = httpx.get(f"http://127.0.0.1:{stack.env['PORT']}/v1/models", headers={"Host": site.netloc})
    assert (program.status_code, program.json()["error"]["code"]) == (403, "https_required")
