"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.http import JsonResponse

from accounts.api_keys import CapReached
from billing import rate_limits
from billing.quota import QuotaExceeded

INVALID = "invalid_request_error"


class ApiError(Exception):
    """An answer other than the one that was asked for; `headers` go with it, `more` into it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        headers: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code, **(more or {})}}

    def response(self) -> JsonResponse:
        return JsonResponse(self.body, status=self.status, headers=self.headers)


def bad_request(message: str, *, param: str | None = None, code: str = "invalid_request") -> ApiError:
    return ApiError(400, code, message, param=param)


def over_quota(error: QuotaExceeded, *, now: datetime) -> ApiError:
    """Requests at once and in the window come back soon; the month's tokens do not, and clients need not retry."""
    headers = rate_limits.headers(error, now=now)
    more = rate_limits.numbers(error)
    when = f"{error.resets_at:%Y-%m-%d %H:%M} UTC"
    if error.code == "concurrency":
        text = f"{error.limit} replies are being written for you, the most at once in your plan. Wait for one to end."
        return ApiError(429, "rate_limit_exceeded", text, kind="requests", headers=headers, more=more)
    headers["x-should-retry"] = "false"
    if error.code == "messages":
        text = f"You have used all {error.limit} messages of your plan's window. It begins anew at {when}."
        return ApiError(429, "rate_limit_exceeded", text, kind="requests", headers=headers, more=more)
    text = f"You have used {error.used} of your plan's {error.limit} tokens this month. They come back at {when}."
    return ApiError(429, "insufficient_quota", text, kind="insufficient_quota", headers=headers, more=more)


def over_cap(error: CapReached, *, now: datetime) -> ApiError:
    text = f"This key has spent its cap of {error.cap} tokens a month. Use another key, or wait for the next month."
    headers = {**rate_limits.until(error.resets_at, now=now), "x-should-retry": "false"}
    return ApiError(429, "key_cap_reached", text, kind="insufficient_quota", headers=headers)


def from_model_service(status: int, content: bytes, retry_after: str) -> ApiError:
    """What the model service said about a request, as far as it concerns the caller."""
    if status == 429 or status >= 500:
        return unavailable(retry_after)
    try:
        error: dict[str, Any] = json.loads(content)["error"]
        return ApiError(
            status if status in (400, 404, 413) else 400,
            str(error.get("code") or "invalid_request"),
            str(error.get("message")),
            param=error.get("param"),
        )
    except (ValueError, KeyError, TypeError):
        return bad_request("The model service refused the request.")


def unavailable(retry_after: str = "1") -> ApiError:
    text = "The model cannot take the request now. Try again shortly."
    return ApiError(503, "model_unavailable", text, kind="server_error", headers={"Retry-After": retry_after or "1"})
