"""Have the model begin a reply while it is still being stored, so that nobody waits for the two in turn.

The worker that claims the reply asks for the very same under the same request id and is handed what was begun. Where
that is not to be, nothing is lost but a moment of the model's: see `inference/server/ahead.py`.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from chat import background, inference, prompt, tree
from chat.drafts import Draft
from chat.models import Reply

logger = logging.getLogger(__name__)
# A model service that streams at once has not heard of this, and is not asked again.
is_of_another_make = threading.Event()


def begin(reply: Reply, above: tree.Above | None) -> None:
    """Ask for what a worker will ask for, unless much changes until then. Does not wait, and never fails.

    Nothing is begun where that takes more than the turns above: documents, a question first, a text to go on from, a
    reply above that is still being written, a long prompt.
    """
    body = request_of(reply, above) if above and not is_of_another_make.is_set() else None
    if body is not None:
        background.begin(_begin(body, request_id=str(reply.pk)))


def request_of(reply: Reply, above: tree.Above) -> dict[str, Any] | None:
    """The request for a reply that is not stored yet; None where that takes more than the turns above."""
    if reply.checkpoint or reply.ask_threshold is not None:
        return None
    turns = prompt.whole(reply, above)
    if turns is None:
        return None
    draft = Draft.of(reply)
    draft.prompt = turns
    return draft.body()


async def _begin(body: dict[str, Any], *, request_id: str) -> None:
    try:
        if not await inference.ask_ahead(body, request_id=request_id):
            is_of_another_make.set()
    except inference.ModelUnavailable as error:
        logger.info("Reply %s is not begun ahead: %s", request_id, error)
