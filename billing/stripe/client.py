"""The SDK's client with the pinned version, and its errors told apart by what to do about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar

import stripe
from django.conf import settings

API_VERSION = "2026-10-28.endive"
SDK_API_VERSION = stripe.api_version or ""
TIMEOUT_SECONDS = 15

Parameters = dict[str, Any]
P = ParamSpec("P")
T = TypeVar("T")


class StripeUnavailable(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """Stripe cannot be reached, or says that trying again later is right."""

    def __init__(self, text: str, *, is_server_error: bool = False) -> None:
        super().__init__(text)
        self.is_server_error = is_server_error


class StripeRefused(Exception):  # noqa: N818
    """Stripe understood and says no. `code` is Stripe's own; `str()` is for staff, not for customers."""

    def __init__(self, text: str, *, code: str) -> None:
        super().__init__(text)
        self.code = code

    @property
    def is_missing(self) -> bool:
        return self.code == "resource_missing"


def is_configured() -> bool:
    return bool(settings.STRIPE_API_KEY)


@lru_cache(maxsize=4)
def _client(api_key: str, api_base: str) -> stripe.StripeClient:
    addresses: Any = {"api": api_base} if api_base else None
    return stripe.StripeClient(
        api_key,
        stripe_version=API_VERSION,
        base_addresses=addresses,
        max_network_retries=2,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
    )


def api() -> Any:
    if not settings.STRIPE_API_KEY:
        raise StripeUnavailable("No STRIPE_API_KEY is set: nothing can be sold here.")
    return _client(settings.STRIPE_API_KEY, settings.STRIPE_API_BASE).v1


_before_each: ContextVar[Callable[[], None] | None] = ContextVar("_before_each", default=None)


@contextmanager
def before_each_request(do: Callable[[], None]) -> Iterator[None]:
    """`do` is done before each request of the block; what it raises keeps the request from being made."""
    outer = _before_each.set(do)
    try:
        yield
    finally:
        _before_each.reset(outer)


def asked(call: Callable[P, T]) -> Callable[P, T]:
    """The same call with the SDK's many errors told apart by what to do about them."""

    def ask(*args: P.args, **kwargs: P.kwargs) -> T:
        if do := _before_each.get():
            do()
        try:
            return call(*args, **kwargs)
        except (stripe.APIConnectionError, stripe.RateLimitError) as error:
            raise StripeUnavailable(str(error)) from error
        except stripe.StripeError as error:
            status = error.http_status or 500
            # A key that is being exchanged is no answer to what was asked: it is asked again with the next one.
            if status >= 500 or status in (401, 403, 409):
                raise StripeUnavailable(str(error), is_server_error=status >= 500) from error
            raise StripeRefused(str(error), code=error.code or type(error).__name__) from error

    return ask


def pages(call: Callable[..., Any], parameters: Parameters) -> Iterator[Any]:
    page = asked(call)(untyped(parameters))
    while True:
        yield from page.data
        if not page.has_more:
            return
        page = asked(call)(untyped(parameters | {"starting_after": page.data[-1].id}))


def untyped(value: Any) -> Any:
    return value
