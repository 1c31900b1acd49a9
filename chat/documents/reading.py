"""A worker's part: read a waiting document in a child process, store its passages, forget the file."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import uuid
from datetime import datetime
from typing import IO, Any, cast

from django.conf import settings
from django.db import transaction
from django.db.models import F

from chat.documents import attaching, meaning
from chat.models import Document, DocumentFile, Passage
from chat.pooling import give_back

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 60
LARGEST_ANSWER = 40_000_000
BATCH = 500
# Two at once: a person's hundred files must not take every thread and all the memory of a worker.
_places = threading.BoundedSemaphore(2)


def read(document_id: uuid.UUID, *, now: datetime) -> None:
    """Read the document, or nothing when it was read or removed meanwhile. Safe to run twice."""
    content = DocumentFile.objects.filter(document=document_id).values_list("data", flat=True).first()
    waiting = Document.objects.filter(pk=document_id, state=Document.State.WAITING)
    if content is None or not waiting.update(attempts=F("attempts") + 1, enqueued_at=now):
        return
    name = waiting.values_list("name", flat=True).first() or ""
    give_back()
    with _places:
        answer = parsed(bytes(content), name)
    if "refused" in answer:
        refuse(document_id, answer["refused"])
    else:
        _store(document_id, answer)
        meaning.embed_document(document_id, now=now)


def refuse(document_id: uuid.UUID, reason: str) -> None:
    """Keep the document as one that could not be read, with the reason, and forget the file."""
    with transaction.atomic():
        waiting = Document.objects.filter(pk=document_id, state=Document.State.WAITING)
        waiting.update(state=Document.State.REFUSED, reason=reason)
        DocumentFile.objects.filter(document=document_id).delete()


def sweep(*, now: datetime) -> None:
    """Wake a worker for documents whose worker died, give up on those that kill theirs, embed what is not yet."""
    for document in list(Document.objects.stuck(now=now)[:100]):
        if document.attempts >= Document.MAX_ATTEMPTS:
            refuse(document.pk, "too_much_work")
            continue
        Document.objects.filter(pk=document.pk).update(enqueued_at=now)
        attaching.wake(document.pk)
    for document_id in list(Document.objects.searchable().filter(embedded_at=None).values_list("pk", flat=True)[:20]):
        if not meaning.embed_document(document_id, now=now):
            break
    attaching.remove_unsent(now=now)


def parsed(content: bytes, name: str, *, seconds: float = LONGEST_SECONDS) -> dict[str, Any]:
    """Kind, columns and passages of a file, or {"refused": code}, from a process that may fail in every way."""
    command = [sys.executable, "-m", "chat.documents.parsing", name]
    # Nothing of our environment: no address of a database, no key.
    surroundings = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(settings.BASE_DIR), "PYTHONUTF8": "1"}
    child = subprocess.Popen(  # noqa: S603 - our own program; the name is an argument, never a command
        command,
        cwd=settings.BASE_DIR,
        env=surroundings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    ends = threading.Timer(seconds, child.kill)
    ends.start()
    try:
        answer = _talk(child, content)
    finally:
        ends.cancel()
        child.kill()
        child.wait()
    return answer or {"refused": "too_much_work"}


def _talk(child: subprocess.Popen[bytes], content: bytes) -> dict[str, Any] | None:
    """What the child answers; None when it died, said too much, or said what makes no sense."""
    stdin, stdout = cast(IO[bytes], child.stdin), cast(IO[bytes], child.stdout)
    try:
        with stdin:
            stdin.write(content)
        text = stdout.read(LARGEST_ANSWER + 1)
        answer = json.loads(text) if len(text) <= LARGEST_ANSWER else None
    except (OSError, ValueError):
        return None
    finally:
        stdout.close()
    return answer if isinstance(answer, dict) else None


def _store(document_id: uuid.UUID, answer: dict[str, Any]) -> None:
    with transaction.atomic():
        document = Document.objects.select_for_update().filter(pk=document_id, state=Document.State.WAITING).first()
        if document is None:
            return
        document.state, document.kind = Document.State.READY, answer["kind"]
        document.columns = list(answer["columns"])
        document.save(update_fields=["state", "kind", "columns"])
        passages = (
            Passage(
                document=document,
                position=position,
                place=passage["place"],
                heading=passage["heading"],
                content=passage["text"],
                cells=list(passage["cells"]),
            )
            for position, passage in enumerate(answer["passages"])
        )
        Passage.objects.bulk_create(passages, batch_size=BATCH)
        DocumentFile.objects.filter(document=document).delete()
