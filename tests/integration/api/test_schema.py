"""The API against its own description: the answer is described, whoever asks, and shows nothing of others."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from config import api_examples, api_links
from tests.stack import api_cases, api_journeys
from tests.stack.processes import Stack

EXAMPLES, JOURNEYS = 2, 4  # tests/faults/api sends thousands


def test_no_request_of_anybody_makes_a_fault_or_shows_what_is_anothers(stack: Stack) -> None:
    api_cases.ask_as_everybody(stack, examples=EXAMPLES)


def test_no_way_from_one_operation_to_the_next_makes_a_fault_or_leads_to_what_is_anothers(stack: Stack) -> None:
    tally = api_journeys.travel(stack, journeys=JOURNEYS, steps=10)
    assert tally.taken > 2 * JOURNEYS, tally
    assert tally.refused, "nobody tried what is another's"


def test_every_link_leads_from_an_operation_to_one_that_there_is() -> None:
    operations = {}
    for found in api_cases.description()["paths"].values():
        operations |= {operation["operationId"]: operation for operation in found.values()}
    answers = {name: operation["responses"].values() for name, operation in operations.items()}
    with_links = {name for name, found in answers.items() if any("links" in answer for answer in found)}
    assert with_links == set(api_links.FOLLOWING)
    assert set(api_links.PARAMETERS) <= set(operations)
    for name, parameter in api_links.PARAMETERS.items():
        assert parameter in {one["name"] for one in operations[name]["parameters"]}, name


def test_every_request_with_a_body_has_an_example_that_fits() -> None:
    told = api_cases.description()
    bodies = {}
    for operations in told["paths"].values():
        for operation in operations.values():
            if "requestBody" in operation and not operation["operationId"].startswith("v1_c"):
                bodies[operation["operationId"]] = operation["requestBody"]["content"]["application/json"]
    assert set(bodies) == set(api_examples.EXAMPLES)
    for component in told["components"]["schemas"].values():  # what only answers have is required in answers alone
        fields = component.get("properties", {})
        component["required"] = [name for name in component.get("required", []) if not fields[name].get("readOnly")]
    for name, body in bodies.items():
        fits = OAS31Validator({**body["schema"], "components": told["components"]})
        assert not [error.message for error in fits.iter_errors(body["example"])], name


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
