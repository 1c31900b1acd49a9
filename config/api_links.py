"""Which operation takes the id that another one answered with: OpenAPI's links, for readers, clients and tests."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

CONVERSATION = (
    *("conversations_retrieve", "conversations_partial_update", "conversations_destroy"),
    *("feedback_consent_conversations_retrieve", "feedback_consent_conversations_update"),
)
SPEAKING = ("conversations_messages_create", "conversations_path_create")
REPLY = (
    *("reply_events", "replies_stop_create", "replies_regenerate_create", "replies_continue_create"),
    *("feedback_consent_replies_retrieve", "feedback_consent_replies_update"),
)
WEBHOOK = (
    *("webhooks_retrieve", "webhooks_partial_update", "webhooks_destroy"),
    *("webhooks_secret_create", "webhooks_test_create", "webhooks_deliveries_list"),
)
RELEASE = ("releases_retrieve", "releases_cancel_create", "releases_retry_create")
_ONE_COMPARISON = ("comparisons_retrieve", "comparisons_create", "comparisons_destroy")
_ITS_CONSENT = ("feedback_consent_comparisons_retrieve", "feedback_consent_comparisons_update")
COMPARISON = (*_ONE_COMPARISON, *_ITS_CONSENT)
V1_COMPARISON = (*(f"v1_feedback_{name}" for name in _ONE_COMPARISON), *(f"v1_{name}" for name in _ITS_CONSENT))
CORRECTION = ("feedback_corrections_destroy",)
V1_CORRECTION = ("v1_feedback_corrections_destroy",)
# The parameter of the address that each group of operations is about.
PARAMETERS = {
    **dict.fromkeys((*CONVERSATION, *SPEAKING), "conversation_id"),
    **dict.fromkeys(REPLY, "reply_id"),
    **dict.fromkeys(WEBHOOK, "endpoint_id"),
    **dict.fromkeys(RELEASE, "release_id"),
    **dict.fromkeys((*COMPARISON, *V1_COMPARISON), "comparison_id"),
    **dict.fromkeys((*CORRECTION, *V1_CORRECTION), "correction_id"),
    "deliveries_resend_create": "delivery_id",
    "v1_model": "name",
}
_OF_A_REPLY = {"conversation": (*CONVERSATION, *SPEAKING), "id": REPLY}
# Operation -> place in its answer -> operations that take what stands there.
FOLLOWING: dict[str, dict[str, tuple[str, ...]]] = {
    "conversations_create": _OF_A_REPLY,
    "conversations_messages_create": _OF_A_REPLY,
    "replies_regenerate_create": _OF_A_REPLY,
    "replies_continue_create": _OF_A_REPLY,
    "conversations_list": {"results/0/id": (*CONVERSATION, *SPEAKING)},
    "conversations_retrieve": {"id": CONVERSATION[1:], "path/1/id": REPLY},
    "search_retrieve": {"results/0/conversation": CONVERSATION[:1]},
    "webhooks_create": {"id": WEBHOOK},
    "webhooks_list": {"0/id": WEBHOOK},
    "webhooks_deliveries_list": {"results/0/id": ("deliveries_resend_create",)},
    "releases_create": {"id": RELEASE},
    "releases_list": {"results/0/id": RELEASE},
    "comparisons_list": {"0/id": COMPARISON},
    "v1_feedback_comparisons_list": {"0/id": V1_COMPARISON},
    "comparisons_answered_list": {"results/0/id": COMPARISON},
    "v1_feedback_comparisons_answered_list": {"results/0/id": V1_COMPARISON},
    "feedback_ideal_create": {"id": CORRECTION},
    "feedback_corrections_list": {"results/0/id": CORRECTION},
    "v1_feedback_ideal_create": {"id": V1_CORRECTION},
    "v1_feedback_corrections_list": {"results/0/id": V1_CORRECTION},
    "v1_models": {"data/0/id": ("v1_model",)},
}


def link(result: Schema) -> None:
    """Write the links into a description, at each answer that holds the id."""
    for operations in result["paths"].values():
        for operation in operations.values():
            places = FOLLOWING.get(operation["operationId"], {})
            links = {target: _link(place, target) for place, targets in places.items() for target in targets}
            for code in {"200", "201"} & set(operation["responses"]) if links else ():
                operation["responses"][code]["links"] = links


def _link(place: str, target: str) -> Schema:
    return {"operationId": target, "parameters": {PARAMETERS[target]: f"$response.body#/{place}"}}
