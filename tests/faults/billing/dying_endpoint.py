"""Stripe's address in a process that dies where it is told to: `python -m tests.faults.billing.dying_endpoint FOLDER`.

A parent holds the socket, writes its port to FOLDER/port, and starts the next process as soon as one has died. An event
whose id is the name of a file in FOLDER ends its process by `kill -9` once it is committed and before it is answered;
the file goes first, so that it happens once.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import django
import uvicorn

from config.embedded.lifetimes import stop_with_parent


def main(folder: Path) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    (folder / "port").write_text(str(listening.getsockname()[1]))
    while True:
        child = os.fork()
        if not child:
            stop_with_parent(signal.SIGKILL)
            serve(listening, folder)
            os._exit(0)
        os.waitpid(child, 0)


def serve(listening: socket.socket, folder: Path) -> None:
    from billing import intake, webhooks

    store_together = webhooks.store_together

    def store_and_die(deliveries: Sequence[webhooks.Delivery]) -> set[str]:
        new = store_together(deliveries)
        doomed = [name for one in deliveries if (name := folder / one.event.id).exists()]
        for name in doomed:
            name.unlink()
        if doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        return new

    webhooks.store_together = store_and_die
    uvicorn.Server(uvicorn.Config(intake.Intake(), lifespan="off", log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
