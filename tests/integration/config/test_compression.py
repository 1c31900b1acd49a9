"""Pages go out compressed; what streams and what may show a secret beside sent words does not."""

from __future__ import annotations

import gzip

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from config.compression import PageCompressionMiddleware

ASKS = {"HTTP_ACCEPT_ENCODING": "br, gzip"}
WORDS = "words " * 100


@pytest.mark.django_db
def test_a_page_comes_compressed_to_who_can_read_it() -> None:
    plain, packed = Client().get("/accounts/login/"), Client().get("/accounts/login/", **ASKS)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert len(packed.content) < len(plain.content) / 2
    assert b"<title>" in gzip.decompress(packed.content)


@pytest.mark.django_db
def test_a_page_that_answers_sent_words_is_not_compressed() -> None:
    answer = Client().post("/accounts/login/", {"login": "nobody"}, **ASKS)
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers


def test_streams_and_other_types_leave_as_they_are() -> None:
    for answer in (
        StreamingHttpResponse(iter([WORDS]), content_type="text/html"),
        HttpResponse(WORDS, content_type="application/json"),
    ):
        sent = PageCompressionMiddleware(lambda _request, answer=answer: answer)(RequestFactory().get("/", **ASKS))
        assert "Content-Encoding" not in sent.headers
