"""`/v1`, as OpenAI's clients expect it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from chat import offer
from chat.openai import admission, asking
from chat.openai.admission import Admission
from chat.openai.asking import CHAT, TEXT, Wish
from chat.openai.errors import ApiError
from chat.openai.relay import Relay, replay
from chat.pooling import give_back

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
View = Callable[..., Coroutine[Any, Any, HttpResponseBase]]
OWNER = "parley"


def _in_openais_words(method: str) -> Callable[[View], View]:
    """Errors as OpenAI writes them; no cookie is read, so that there is no forgery to guard against."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @functools.wraps(view)
        async def answer(request: HttpRequest, **arguments: str) -> HttpResponseBase:
            try:
                if request.method != method:
                    raise ApiError(405, "method_not_allowed", f"Use {method}.", headers={"Allow": method})
                return await view(request, **arguments)
            except ApiError as error:
                return error.response()
            except Exception:
                logger.exception("A request to %a failed", request.path)
                text = "Something went wrong here; the log of the server says what."
                return ApiError(500, "internal_error", text, kind="server_error").response()

        return answer

    return decorate


@_in_openais_words("POST")
async def chat_completions(request: HttpRequest) -> HttpResponseBase:
    return await _complete(request, CHAT)


@_in_openais_words("POST")
async def completions(request: HttpRequest) -> HttpResponseBase:
    return await _complete(request, TEXT)


@_in_openais_words("GET")
async def models(request: HttpRequest) -> HttpResponseBase:
    """The models that the caller's plan includes."""
    names = await _in_thread(_names_for, request, timezone.now())
    return JsonResponse({"object": "list", "data": [_described(name) for name in names]})


@_in_openais_words("GET")
async def model(request: HttpRequest, name: str) -> HttpResponseBase:
    if name not in await _in_thread(_names_for, request, timezone.now()):
        raise ApiError(404, "model_not_found", f"The model `{name}` does not exist.", param="model")
    return JsonResponse(_described(name))


@csrf_exempt
def nothing_here(request: HttpRequest, path: str) -> HttpResponse:
    return ApiError(404, "unknown_url", f"Unknown request URL: {request.method} /v1/{path}.").response()


async def _complete(request: HttpRequest, endpoint: str) -> HttpResponseBase:
    admitted, wish = await _in_thread(_admit, request, endpoint, timezone.now())
    if admitted.is_replay:
        return _replayed(admitted)
    relay = Relay(admitted, wish)
    try:
        if not wish.is_streamed:
            return _whole(await relay.whole(), admitted)
        return _event_stream(await relay.stream(), admitted)
    except ApiError as error:
        error.headers = admitted.headers | error.headers
        raise


def _admit(request: HttpRequest, endpoint: str, now: datetime) -> tuple[Admission, Wish]:
    caller = admission.caller_of(request, now=now)
    wish = asking.read(endpoint, _content(request))
    idempotency_key = request.headers.get("Idempotency-Key", "")
    return admission.admit(caller, wish, idempotency_key=idempotency_key, now=now), wish


def _content(request: HttpRequest) -> bytes:
    try:
        return request.body
    except RequestDataTooBig as error:
        text = f"A request has at most {asking.LARGEST_BODY} bytes. Shorten it."
        raise ApiError(413, "request_too_large", text) from error
    except UnreadablePostError as error:
        raise ApiError(400, "invalid_request", "The body could not be read.") from error


def _names_for(request: HttpRequest, now: datetime) -> list[str]:
    caller = admission.caller_of(request, now=now)
    return [name for name in offer.names() if offer.is_allowed(name, caller.entitlement)]


def _described(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER}


def _replayed(admitted: Admission) -> HttpResponseBase:
    completion = admitted.completion
    if completion.is_streamed:
        return _event_stream(replay(completion.answer), admitted)
    return _whole(completion.answer, admitted)


def _whole(answer: str, admitted: Admission) -> HttpResponse:
    return HttpResponse(answer, content_type="application/json", headers=admitted.headers)


def _event_stream(events: object, admitted: Admission) -> StreamingHttpResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **admitted.headers}
    return StreamingHttpResponse(events, content_type="text/event-stream; charset=utf-8", headers=headers)  # type: ignore[arg-type]


async def _in_thread(function: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """Run what needs the database; its connection goes back to the pool before a stream of minutes begins."""

    def run() -> T:
        try:
            return function(*arguments, **keywords)
        finally:
            give_back()

    return await sync_to_async(run, thread_sensitive=True)()
