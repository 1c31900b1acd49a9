"""The API against its own description: the answer is described, whoever asks, and shows nothing of others."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from tests.stack import api_cases
from tests.stack.processes import Stack

EXAMPLES = 2  # tests/faults/api sends thousands


def test_no_request_of_anybody_makes_a_fault_or_shows_what_is_anothers(stack: Stack) -> None:
    api_cases.ask_as_everybody(stack, examples=EXAMPLES)


def test_the_description_is_openapi_3_1() -> None:
    found = api_cases.description()
    assert found["openapi"].startswith("3.1")
    validate(found, cls=OpenAPIV31SpecValidator)


def test_every_address_of_the_api_is_described() -> None:
    described = {re.sub(r"{\w+}", "{}", path).rstrip("/") for path in api_cases.description()["paths"]}
    undescribed = {"/api/schema", "/api/docs", "/v1/{}"}

    def walk(patterns: list[object], prefix: str) -> set[str]:
        found = set()
        for pattern in patterns:
            route = prefix + str(pattern.pattern)
            if isinstance(pattern, URLPattern):
                found.add(re.sub(r"<[^>]+>", "{}", route))
            else:
                found |= walk(pattern.url_patterns, route)
        return found

    addresses = {address for address in walk(get_resolver().url_patterns, "/") if address.startswith(("/api/", "/v1/"))}
    assert addresses - undescribed == described - undescribed


@pytest.mark.django_db
def test_the_reference_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/api/docs")
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.content.decode())
    assert sources
    assert all(source.startswith("/") for source in sources), sources
    assert "default-src 'none'" in page.headers["content-security-policy"]
