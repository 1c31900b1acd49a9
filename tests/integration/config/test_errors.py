"""What Django refuses before any view is told so that people know what to do."""

import pytest
from django.conf import settings
from django.test import Client

from tests import factories

pytestmark = pytest.mark.django_db
TOO_LONG = {"text": "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE}


@pytest.fixture(params=[True, False], ids=["csrf", "view"])
def client(request):
    """The form is read by whoever is first: the check of its CSRF token, or the view."""
    client = Client(enforce_csrf_checks=request.param)
    client.force_login(factories.UserFactory())
    client.get("/chat")  # sets the cookie
    return client


@pytest.mark.parametrize(
    ("language", "words"), [("en", "longer than 2,621,440 bytes"), ("zh-hans", "超过 2,621,440 字节")]
)
def test_a_form_that_is_too_long_is_told_so(client, language, words):
    answer = client.post("/i18n/setlang/", TOO_LONG, headers={"accept": "text/html", "accept-language": language})
    assert answer.status_code == 413
    assert words in answer.content.decode()


def test_a_script_is_told_in_its_own_way(client):
    answer = client.post("/i18n/setlang/", TOO_LONG, headers={"accept": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["code"] == "request_too_large"
    assert "2,621,440" in answer.json()["detail"]


def test_what_makes_no_sense_otherwise_stays_a_bad_request(client):
    assert client.get("/", headers={"host": "not a host"}).status_code == 400
