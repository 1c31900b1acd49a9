"""A way to the running product that falls silent, as the one from a laptop that slept."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Relay(socketserver.ThreadingTCPServer):
    """Passes everything on to the port `to` and back."""

    daemon_threads = True

    def __init__(self, to: int) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.to = to
        self.connections: set[Connection] = set()
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fall_silent(self) -> None:
        """Nothing comes through the streams that are open, and neither side is told. Other connections end: a browser
        that wakes takes new ones. Those work."""
        for connection in list(self.connections):
            connection.is_silent = connection.is_stream
            if not connection.is_stream:
                with suppress(OSError):
                    connection.request.shutdown(socket.SHUT_RDWR)


class Connection(socketserver.BaseRequestHandler):
    server: Relay
    is_stream = False
    is_silent = False

    def handle(self) -> None:
        self.server.connections.add(self)
        with socket.create_connection(("127.0.0.1", self.server.to)) as web:
            threading.Thread(target=self._pass_on, args=(self.request, web), daemon=True).start()
            self._pass_on(web, self.request)
        self.server.connections.discard(self)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if data.startswith(b"HTTP/1.1 "):
                    self.is_stream = b"text/event-stream" in data.partition(b"\r\n\r\n")[0].lower()
                if self.is_silent:
                    self.server.ended.wait()
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def relay(to: int) -> Iterator[Relay]:
    with Relay(to) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
