"""Runs the service: takes the port, answers until told to stop, drains, and ends with a telling exit status."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket

import uvicorn

from inference.errors import InferenceError
from inference.server.app import create_app
from inference.settings import Settings

logger = logging.getLogger(__name__)
CRASHED = 70
UNREAD_BYTES = 1 << 18
CRASH_GRACE_SECONDS = 0.5
"""Time for the last error events to reach the clients before a crashed process ends."""


def serve(settings: Settings) -> int:
    """Serve until a signal. Returns the exit status: 0, or 70 when an engine died. Raises InferenceError."""
    listener = take_port(settings.host, settings.port)
    limit_unread(listener, settings.reader_seconds)
    return asyncio.run(_serve(settings, listener))


def take_port(host: str, port: int) -> socket.socket:
    """A socket bound to the address. Raises InferenceError, saying what to do, when that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InferenceError(
            f"The address {host}:{port} cannot be used ({error.strerror}). Stop what uses it, or set INFERENCE_PORT."
        ) from error
    return listener


def limit_unread(listener: socket.socket, seconds: float) -> None:
    """Bound what the system keeps for a client that does not read, and for how long, on connections to `listener`.

    Closing a connection waits until all that was written is read, which such a client never does; so the system is
    told to end it, where it can (Linux).
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNREAD_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


async def _serve(settings: Settings, listener: socket.socket) -> int:
    crashes: list[str] = []
    stops: list[int] = []
    # uvicorn drains on SIGTERM and then sends it to us again; by then it has done its work.
    signal.signal(signal.SIGTERM, lambda number, _frame: stops.append(number))
    app = create_app(settings, on_crash=crashes.append)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=round(settings.drain_seconds)
    )
    server = uvicorn.Server(config)
    logger.info("listening", extra={"host": settings.host, "port": listener.getsockname()[1]})
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not serving.done() and not crashes:
        await asyncio.wait({serving}, timeout=0.1)
        if stops:  # it came before uvicorn listened for it
            server.should_exit = True
    if crashes:
        await asyncio.sleep(CRASH_GRACE_SECONDS)
        server.should_exit = server.force_exit = True
        logger.critical("exiting to be restarted", extra={"reason": crashes[0]})
    await serving
    return CRASHED if crashes else 0
