"""A request of each kind as a program sends it, for the reference. The tests send every one."""

from __future__ import annotations

from typing import Any

REPLY, WISH = "019abc00-0000-7000-8000-000000000002", "5f0c1c9e-1d0b-4c1e-9a52-0d7d3c1f8a11"
RATING = {"client_event_id": WISH, "reply": REPLY, "value": -1, "reasons": ["incorrect"], "comment": "Lyon is not it."}
IDEAL = {"client_event_id": WISH, "reply": REPLY, "ideal": "Paris.", "quote": "Lyon", "occurrence": 1}
CHOICE = {
    "client_event_id": WISH,
    "choice": "left",
    "strength": 3,
    "left_ms": 4200,
    "right_ms": 3100,
    "left_whole": True,
    "right_whole": True,
}
SEEN = {"exposures": [{"client_event_id": WISH, "reply": REPLY, "visible_ms": 5300, "is_whole": True}]}
EXAMPLES: dict[str, dict[str, Any]] = {
    "conversations_create": {"client_id": WISH, "content": "What is the capital of France?", "stream": True},
    "conversations_partial_update": {"title": "Capitals"},
    "conversations_messages_create": {"client_id": WISH, "parent": REPLY, "content": "And of Spain?"},
    "conversations_path_create": {"message": REPLY},
    "replies_regenerate_create": {"client_id": WISH},
    "replies_continue_create": {"client_id": WISH, "stream": True},
    "replies_consistency_checks_create": {"client_id": WISH, "wordings": ["Which city is the capital of France?"]},
    "feedback_create": RATING,
    "v1_feedback_create": RATING,
    "feedback_batch_create": {"events": [RATING]},
    "v1_feedback_batch_create": {"events": [RATING]},
    "feedback_ideal_create": IDEAL,
    "v1_feedback_ideal_create": IDEAL,
    "feedback_copied_create": {"client_event_id": WISH, "reply": REPLY},
    "feedback_exposures_create": SEEN,
    "v1_feedback_exposures_create": SEEN,
    "comparisons_create": CHOICE,
    "v1_feedback_comparisons_create": CHOICE,
    **{
        f"{version}feedback_consent{subject}_update": {"is_granted": False}
        for version in ("", "v1_")
        for subject in ("", "_conversations", "_replies", "_comparisons")
    },
    "webhooks_create": {"url": "https://hooks.example.org/parley", "events": ["reply.finished", "quota.near"]},
    "webhooks_partial_update": {"is_paused": True},
    "releases_create": {"dry_run": True, "specification": {}},
}
