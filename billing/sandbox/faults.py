"""What goes wrong on purpose: faults that are armed through `/_ctl/faults` and happen to the next requests or webhooks.

A fault is armed for a number of times and, if wanted, for some of the requests (`path`, `method`) or events (`type`)
only. It takes the first that fits. Nothing is random here: whoever wants chance arms faults by chance.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any

from billing.sandbox.errors import invalid

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

# What can happen to a request of the API.
REQUEST_KINDS = {
    "reset": "the connection breaks before anything is done",
    "lost_response": "it is done, and the connection breaks before the answer",
    "error_after_commit": "it is done and answered 500, again for every repeat with its idempotency key",
    "unavailable": "503, nothing is done",
    "rate_limited": "429 with the code rate_limit, nothing is done",
    "lock_timeout": "429 with the code lock_timeout, nothing is done",
    "key_in_use": "409 as for a key whose first request is still at work, nothing is done",
    "stale_read": "the answer is what a replica knows that has not heard of the object's last change",
    "late": "it is done and answered `seconds` later: what is asked meanwhile is done before it",
    "slow_read": "the answer is from now and arrives `seconds` later",
}
# What can happen to a webhook on its way.
WEBHOOK_KINDS = {
    "duplicate": "sent twice",
    "reorder": "sent after the one that follows it, or after `seconds` when none does",
    "delay": "sent `seconds` later",
    "drop": "never sent; it is in the list of events",
    "tamper": "changed after it was signed; sent as it is at the next attempt",
    "wrong_secret": "signed by somebody else; signed rightly at the next attempt",  # no secret  # nosec B105
    "stale_timestamp": "signed `seconds` ago; signed freshly at the next attempt",
    "future_timestamp": "signed `seconds` ahead; signed freshly at the next attempt",
    "other_version": "says that it is of another version of the API",
}
SECONDS = {
    "late": 1.0, "slow_read": 1.0, "reorder": 5.0, "delay": 2.0, "stale_timestamp": 600.0, "future_timestamp": 600.0,
}  # fmt: skip


@dataclass
class Fault:
    kind: str
    times: int
    seconds: float
    path: str = ""
    method: str = ""
    type: str = ""


class Faults:
    """The faults that are armed now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []

    def arm(self, given: dict[str, Any]) -> Fault:
        """Arm `{"kind": …, "times": 1, "seconds": …, "path": …, "method": …, "type": …}`."""
        kind = str(given.get("kind"))
        if kind not in REQUEST_KINDS | WEBHOOK_KINDS:
            raise invalid(
                f"No such fault: {kind}. There are {', '.join([*REQUEST_KINDS, *WEBHOOK_KINDS])}.", param="kind"
            )
        if unknown := given.keys() - {"kind", "times", "seconds", "path", "method", "type"}:
            raise invalid(f"Received unknown parameter: {sorted(unknown)[0]}", param=sorted(unknown)[0])
        seconds = float(given.get("seconds", SECONDS.get(kind, 0.0)))
        where = {name: str(given.get(name, "")) for name in ("path", "method", "type")}
        fault = Fault(kind, int(given.get("times", 1)), seconds, **where)
        with self._lock:
            self._armed.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def armed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._armed]

    def of_request(self, method: str, path: str) -> Fault | None:
        return self._take(
            lambda one: one.kind in REQUEST_KINDS and path.startswith(one.path) and one.method in ("", method)
        )

    def of_webhook(self, event_type: str) -> Fault | None:
        return self._take(lambda one: one.kind in WEBHOOK_KINDS and event_type.startswith(one.type))

    def _take(self, fits: Callable[[Fault], bool]) -> Fault | None:
        with self._lock:
            fault = next((one for one in self._armed if fits(one)), None)
            if fault is None:
                return None
            fault.times -= 1
            if fault.times <= 0:
                self._armed.remove(fault)
            return fault


class FaultyRequests:
    """Around the whole application, so that it can break the connection itself."""

    def __init__(self, app: App, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == "http" and scope["path"].startswith(("/v1/", "/v2/"))
        fault = self._faults.of_request(scope["method"], scope["path"]) if is_api else None
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind in ("reset", "lost_response"):
            if fault.kind == "lost_response":
                await self._app(scope, receive, _nobody_hears)
            _transport_of(send).abort()
        elif fault.kind == "error_after_commit":
            await self._app({**scope, "fails_after_commit": True}, receive, send)
        elif fault.kind == "stale_read":
            await self._app({**scope, "reads_stale": True}, receive, send)
        elif fault.kind == "late":
            await asyncio.sleep(fault.seconds)
            await self._app(scope, receive, send)
        elif fault.kind == "slow_read":
            await self._answer_late(scope, receive, send, fault.seconds)
        else:
            await _refuse(send, fault.kind)

    async def _answer_late(self, scope: Message, receive: Receive, send: Send, seconds: float) -> None:
        said: list[Message] = []

        async def keep(message: Message) -> None:
            said.append(message)

        await self._app(scope, receive, keep)
        await asyncio.sleep(seconds)
        for message in said:
            await send(message)


async def _nobody_hears(_message: Message) -> None:
    pass


def _transport_of(send: Any) -> Any:
    """The connection below uvicorn's `send`; ASGI itself has no way to break it."""
    return send.__self__.transport


_REFUSALS = {
    "unavailable": (503, "api_error", ""),
    "rate_limited": (429, "invalid_request_error", "rate_limit"),
    "lock_timeout": (429, "invalid_request_error", "lock_timeout"),
    "key_in_use": (409, "idempotency_error", "idempotency_key_in_use"),
}


async def _refuse(send: Send, kind: str) -> None:
    status, error_type, code = _REFUSALS[kind]
    error = {"type": error_type, "message": "Try later.", **({"code": code} if code else {})}
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
