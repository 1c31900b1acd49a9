"""Stripe's error envelope."""

from __future__ import annotations

from typing import Any


class APIError(Exception):
    """An answer that is not 2xx. `status` is the HTTP status; the rest is Stripe's `error` object.

    What was done before it was raised is undone, unless `keeps`: a declined card leaves its failed charge behind.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        keeps: bool = False,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.headers = headers or {}
        self.status = status
        self.keeps = keeps
        self.body = {"error": {"type": kind, "message": message, **{k: v for k, v in more.items() if v is not None}}}


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> APIError:
    return APIError(400, "invalid_request_error", message, param=param, code=code)


def missing(kind: str, object_id: str) -> APIError:
    return APIError(404, "invalid_request_error", f"No such {kind}: '{object_id}'", code="resource_missing", param="id")


def declined(
    code: str = "card_declined", decline_code: str | None = "generic_decline", *, keeps: bool = False, **more: Any
) -> APIError:
    text = "Your card was declined."
    return APIError(402, "card_error", text, keeps=keeps, code=code, decline_code=decline_code, **more)
