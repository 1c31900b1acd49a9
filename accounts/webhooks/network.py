"""Posting to an address that a stranger chose, without lending them our place in the network.

The name is resolved here, every address it has is checked, and the connection goes to the address that was checked: a
name that resolves otherwise a moment later (DNS rebinding) changes nothing. Redirects are answers like any other and
are not followed, the answer's body is not read, and the whole visit has one deadline.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import string
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpcore
import idna
from django.conf import settings
from django.utils.translation import gettext as _

SECONDS = 10.0
USUAL_PORTS = {80, 443}
LOWEST_OTHER_PORT = 1024  # below are mail, directories and the like, which must not be spoken to for others

# The whole internet of IPv6; beside it are ways to write and to translate IPv4 addresses that `ipaddress` calls global.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
PROTOCOL_ASSIGNMENTS = ipaddress.ip_network("192.0.0.0/24")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """We do not go there; the text says why, to the person who chose the address."""


@dataclass(frozen=True)
class Answer:
    status: int


def check_url(url: str) -> None:
    """Raises `Refused` for an address that would never be visited, before any name is resolved."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(_("This is not a web address.")) from error
    if not parts.hostname or any(character.isspace() or not character.isprintable() for character in url):
        raise Refused(_("This is not a web address."))
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.WEBHOOK_NETWORKS):
        raise Refused(_("The address begins with https://."))
    if parts.username is not None or parts.fragment:
        raise Refused(_("The address has no user name and no part after #."))
    if port is not None and port not in USUAL_PORTS and port < LOWEST_OTHER_PORT:
        raise Refused(_("The port is 443, 80, or 1024 and above."))
    _as_sent(url)


def _as_sent(url: str) -> str:
    """As it goes over the wire: a name of any script by IDNA, the rest percent-encoded. Raises `Refused`."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    if not host.isascii():
        try:
            parts = parts._replace(netloc=idna.encode(host, uts46=True).decode() + port)
        except idna.IDNAError as error:
            raise Refused(_("This is not a web address.")) from error
    return quote(urlunsplit(parts), safe=string.punctuation)


def post(url: str, *, body: bytes, headers: dict[str, str]) -> Answer:
    """The answer's status. Raises `Refused`, `httpcore.NetworkError`, `TimeoutException` or `ProtocolError`."""
    check_url(url)
    url = _as_sent(url)
    deadline = time.monotonic() + SECONDS
    backend = _CheckedNetwork(deadline, is_encrypted=url.startswith("https"))
    sent = [("content-type", "application/json"), ("user-agent", f"{settings.SITE_NAME}-Webhooks"), *headers.items()]
    with (
        httpcore.ConnectionPool(ssl_context=_trust(), network_backend=backend, retries=0) as pool,
        pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": _timeouts()}) as answer,
    ):
        return Answer(answer.status)


def is_public(address: Address) -> bool:
    """Whether the address belongs to the open internet, whichever way it is written."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(inner)
        return address in GLOBAL_UNICAST and address.is_global
    return address.is_global and not address.is_multicast and address not in PROTOCOL_ASSIGNMENTS


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to by a gateway, else None."""
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address.sixtofour:
        return address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if address in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _is_allowed(address: Address, *, is_encrypted: bool) -> bool:
    """Public and encrypted, or in a network that the operator named."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    own = any((mapped or address) in ipaddress.ip_network(network) for network in settings.WEBHOOK_NETWORKS)
    return own or (is_encrypted and is_public(address))


def _resolved(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"no address: {error}") from error
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects only to addresses that were checked, and lets nothing outlast the deadline."""

    def __init__(self, deadline: float, *, is_encrypted: bool) -> None:
        self._deadline = deadline
        self._is_encrypted = is_encrypted
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = _resolved(host, port)
        if not all(_is_allowed(address, is_encrypted=self._is_encrypted) for address in addresses):
            raise Refused(_("The name leads to a private network or to one of this site’s own machines."))
        stream = self._network.connect_tcp(
            str(addresses[0]), port, timeout=left(self._deadline), socket_options=socket_options
        )
        return _HurriedStream(stream, self._deadline)

    def connect_unix_socket(self, *_arguments: Any, **_options: Any) -> httpcore.NetworkStream:
        raise Refused("sockets of this machine are not visited")


class _HurriedStream(httpcore.NetworkStream):
    """A connection all of whose steps share one deadline: one that drips bytes is ended with the others."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout=left(self._deadline))
        return _HurriedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def left(deadline: float) -> float:
    """Seconds until the deadline. Raises `httpcore.ReadTimeout` when there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("the answer took too long")
    return seconds


def _timeouts() -> dict[str, float]:
    return {"connect": SECONDS, "read": SECONDS, "write": SECONDS, "pool": SECONDS}


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()
