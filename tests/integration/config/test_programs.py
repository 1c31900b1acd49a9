"""Every answer to a program has a number, by which its fault is found in our log, and a version to insist on."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from config.programs import ProgramsMiddleware

pytestmark = pytest.mark.django_db


def test_refusals_have_numbers_too_and_no_two_are_alike() -> None:
    addresses = ["/api/usage", "/v1/models", "/v1/nothing", "/api/nothing"]
    numbers = [Client().get(address).headers["x-request-id"] for address in addresses]
    assert all(number.startswith("req_") for number in numbers)
    assert len(set(numbers)) == len(addresses)
    assert "x-request-id" not in Client().get("/").headers


def test_a_fault_is_found_in_the_log_by_the_number_in_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    failing = ProgramsMiddleware(lambda _request: HttpResponse(status=500))
    answer = failing(RequestFactory().post("/api/conversations?q=words"))
    assert answer.headers["x-request-id"] in caplog.text
    assert "words" not in caplog.text


def test_a_program_may_insist_on_the_version_that_it_was_written_for() -> None:
    assert Client().get("/api/usage").headers["api-version"] == "1"
    assert Client(headers={"api-version": "1"}).get("/api/usage").status_code == 401
    refused = Client(headers={"api-version": "2"}).get("/api/usage")
    assert (refused.status_code, refused.json()["error"]["code"]) == (406, "no_such_version")
    assert Client(headers={"api-version": "2"}).get("/").status_code == 200
