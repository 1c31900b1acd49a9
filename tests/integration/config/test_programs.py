"""Every answer to a program has a number, by which its fault is found in our log, and a version to insist on."""

from __future__ import annotations

import base64
import uuid

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from config.programs import ProgramsMiddleware
from tests import signing_in

pytestmark = pytest.mark.django_db


def test_refusals_have_numbers_too_and_no_two_are_alike() -> None:
    addresses = ["/api/usage", "/v1/models", "/v1/nothing", "/api/nothing"]
    numbers = [Client().get(address).headers["x-request-id"] for address in addresses]
    assert all(number.startswith("req_") for number in numbers)
    assert len(set(numbers)) == len(addresses)
    assert "x-request-id" not in Client().get("/").headers


def test_a_fault_is_found_in_the_log_by_the_number_in_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    failing = ProgramsMiddleware(lambda _request: HttpResponse(status=500))
    answer = failing(RequestFactory().post("/api/conversations%0AERROR%20forged?q=words"))
    assert answer.headers["x-request-id"] in caplog.text
    assert "words" not in caplog.text
    assert not [line for line in caplog.text.splitlines() if line.startswith("ERROR forged")]


def test_a_program_may_insist_on_the_version_that_it_was_written_for() -> None:
    assert Client().get("/api/usage").headers["api-version"] == "1"
    assert Client(headers={"api-version": "1"}).get("/api/usage").status_code == 401
    refused = Client(headers={"api-version": "2"}).get("/api/usage")
    assert (refused.status_code, refused.json()["error"]["code"]) == (406, "no_such_version")
    assert Client(headers={"api-version": "2"}).get("/").status_code == 200


@pytest.mark.parametrize("address", ["/api/nothing", "/api/webhooks/%C2%B4%06%0A/secret", "/api/conversations/1"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_an_address_that_there_is_not_is_told_to_programs_in_their_words(address: str, method: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(signing_in.person("programmer@example.org"))
    answer = browser.generic(method, address)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("address", ["/api/usage", "/api/schema", "/v1/models"])
def test_behind_https_a_program_in_the_clear_is_refused_and_not_redirected(settings: Settings, address: str) -> None:
    settings.HTTPS = settings.SECURE_SSL_REDIRECT = True
    refused = Client().get(address)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "https_required")
    assert refused.headers["x-request-id"]
    assert Client().get(address, secure=True).status_code in (200, 401)
    assert Client().get("/api/docs").status_code == 301, "people are led to where they wanted to go"


@pytest.mark.parametrize(
    "body", [b'{"value": "\\ud800"}', b'{"value": ' + b"[" * 100_000, b'{"value": \xff}', b'{"value": NaN}', b"{"]
)
def test_a_body_that_no_answer_could_repeat_is_refused_in_words(body: bytes) -> None:
    person = signing_in.person("programmer@example.org")
    browser = signing_in.long_ago(person)
    address, kind = f"/api/comparisons/{uuid.uuid4()}", "application/json; charset=klingon"
    answer = browser.generic("POST", address, body, content_type=kind)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "parse_error")


@pytest.mark.parametrize("inside", ["p=1", "p=2026-13-45T00:00", "o=x", "p=9999-12-31T23:59:59-23:59"])
def test_a_cursor_that_we_did_not_make_is_no_fault(inside: str) -> None:
    browser = signing_in.long_ago(signing_in.person("programmer@example.org"))
    cursor = base64.b64encode(inside.encode()).decode()
    assert browser.get("/api/conversations", {"cursor": cursor}).status_code in (200, 404)


def test_the_refusal_of_a_version_speaks_the_callers_language() -> None:
    refused = Client(headers={"api-version": "2", "accept-language": "zh-hans"}).get("/api/usage")
    assert refused.json()["error"]["message"] == "本站没有这个版本的 API。现有版本：1。"
