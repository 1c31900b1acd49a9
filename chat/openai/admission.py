"""Let a request in: key, scope, plan, model, quota and cap, in one transaction; or say in OpenAI's words why not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from accounts import api_keys
from accounts.authentication import BadKey, key_of
from accounts.models import ApiKey, new_id
from billing import quota
from billing.entitlements import Entitlement, entitlement_of
from chat import offer
from chat.openai.asking import Wish
from chat.openai.errors import ApiError, bad_request, over_cap, over_quota
from chat.openai.models import Completion


@dataclass(frozen=True)
class Caller:
    """Who asks, and what their plan gives them."""

    key: ApiKey
    entitlement: Entitlement


@dataclass(frozen=True)
class Admission:
    """Leave to write one completion, or the answer that was given before to the same request."""

    completion: Completion
    max_tokens_each: int
    priority: int
    headers: dict[str, str]
    is_replay: bool = False


def caller_of(request: HttpRequest, *, now: datetime) -> Caller:
    """The owner of the request's key. Raises `ApiError`."""
    try:
        key = key_of(request, now=now)
    except BadKey as error:
        text = "Incorrect API key: it is mistyped, revoked or expired. Make a new one in the settings."
        raise ApiError(401, "invalid_api_key", text, headers=_challenge()) from error
    if key is None:
        text = "Send your API key as `Authorization: Bearer parley_…`."
        raise ApiError(401, "missing_api_key", text, headers=_challenge())
    if ApiKey.Scope.CHAT not in key.scopes:
        raise ApiError(403, "missing_scope", "This API key lacks the scope `chat`.", kind="permission_error")
    entitlement = entitlement_of(key.user, now=now)
    if not entitlement.has_api_access:
        text = f"The plan {entitlement.plan_name} does not include the API. Choose one that does."
        raise ApiError(403, "plan_without_api", text, kind="permission_error")
    return Caller(key, entitlement)


def admit(caller: Caller, wish: Wish, *, idempotency_key: str, now: datetime) -> Admission:
    """Reserve what the wish needs. Raises `ApiError` with nothing taken."""
    if wish.model not in offer.names() or not offer.is_allowed(wish.model, caller.entitlement):
        text = f"The model `{wish.model}` does not exist or your plan does not include it. GET /v1/models lists yours."
        raise ApiError(404, "model_not_found", text, param="model")
    if len(idempotency_key) > 255:
        raise bad_request("An Idempotency-Key has at most 255 characters.")
    try:
        with transaction.atomic():
            return _reserve(caller, wish, idempotency_key, now)
    except IntegrityError:
        if not idempotency_key:
            raise
        return _again(idempotency_key, wish, caller, now)
    except quota.QuotaExceeded as error:
        raise _with_limits(over_quota(error, now=now), caller, now) from error
    except api_keys.CapReached as error:
        raise _with_limits(over_cap(error, now=now), caller, now) from error


def rate_limits(caller: Caller, *, now: datetime) -> dict[str, str]:
    """`x-ratelimit-*`: messages in the plan's window and tokens in its month, as they stand."""
    allowance = quota.allowance_of(caller.key.user, now=now, entitlement=caller.entitlement)
    return {
        "x-ratelimit-limit-requests": str(allowance.limit),
        "x-ratelimit-remaining-requests": str(allowance.remaining),
        "x-ratelimit-reset-requests": _span(allowance.resets_at, now),
        "x-ratelimit-limit-tokens": str(allowance.token_limit),
        "x-ratelimit-remaining-tokens": str(allowance.tokens_remaining),
        "x-ratelimit-reset-tokens": _span(allowance.tokens_reset_at, now),
    }


def _with_limits(refusal: ApiError, caller: Caller, now: datetime) -> ApiError:
    """Who is told to wait is told for what."""
    refusal.headers |= rate_limits(caller, now=now)
    return refusal


def _reserve(caller: Caller, wish: Wish, idempotency_key: str, now: datetime) -> Admission:
    key, entitlement = caller.key, caller.entitlement
    completion = Completion(id=new_id(), user=key.user, api_key=key, created_at=now, idempotency_key=idempotency_key)
    prompt_tokens = min(wish.estimated_prompt_tokens, settings.CHAT_CONTEXT_TOKENS)
    wanted = (wish.max_tokens or entitlement.max_output_tokens) * wish.choices
    completion.endpoint, completion.model, completion.is_streamed = wish.endpoint, wish.model, wish.is_streamed
    completion.fingerprint = wish.fingerprint if idempotency_key else ""
    if idempotency_key:  # a repeated request is known before anything is taken for it
        completion.reserved_tokens = 0
        completion.save(force_insert=True)
    grant = quota.reserve(
        user=key.user,
        request_id=completion.id,
        prompt_tokens=prompt_tokens,
        max_output_tokens=wanted,
        now=now,
        entitlement=entitlement,
        with_smaller_model=offer.is_smaller(wish.model),
        api_key=key,
    )
    completion.reserved_tokens = prompt_tokens + grant.max_output_tokens
    completion.save()
    return Admission(
        completion=completion,
        max_tokens_each=max(1, grant.max_output_tokens // wish.choices),
        priority=entitlement.priority,
        headers={"x-request-id": completion.request_id, **rate_limits(caller, now=now)},
    )


def _again(idempotency_key: str, wish: Wish, caller: Caller, now: datetime) -> Admission:
    """The same Idempotency-Key once more: the answer that was given, once there is one."""
    known = Completion.objects.filter(user=caller.key.user, idempotency_key=idempotency_key).first()
    if known is not None and known.fingerprint != wish.fingerprint:
        text = "This Idempotency-Key was used for another request. Use a new key for each request."
        raise bad_request(text, code="idempotency_key_reused")
    if known is None or known.state == Completion.State.RUNNING:  # None: the first has just failed, and may be repeated
        text = "The request with this Idempotency-Key is still being answered."
        raise ApiError(409, "idempotency_key_in_use", text, headers={"Retry-After": "1"})
    headers = {"x-request-id": known.request_id, "idempotent-replayed": "true", **rate_limits(caller, now=now)}
    return Admission(known, max_tokens_each=0, priority=0, headers=headers, is_replay=True)


def _challenge() -> dict[str, str]:
    return {"WWW-Authenticate": 'Bearer realm="api"'}


def _span(until: datetime | None, now: datetime) -> str:
    """As OpenAI writes it: `1h2m3s`."""
    seconds = max(0, math.ceil((until - now).total_seconds())) if until else 0
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}s"
