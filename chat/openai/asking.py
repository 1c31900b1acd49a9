"""What a program asks for: the fields we read ourselves, and those that go on to the model service as they are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from chat.openai.errors import ApiError, bad_request

MOST_CHOICES = 8
LARGEST_BODY = 2_000_000
SHARED = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "seed",
    "stop",
    "response_format",
    "logprobs",
)
CHAT, TEXT = "chat/completions", "completions"
# Which field holds the prompt, and which others of the endpoint go on.
FIELDS = {
    CHAT: ("messages", ("messages", "top_logprobs", "tools", "continue_final_message", *SHARED)),
    TEXT: ("prompt", ("prompt", *SHARED)),
}


# What would change the answer and is not done here, with the values that ask for nothing.
NOT_DONE: dict[str, dict[str, tuple[Any, ...]]] = {
    CHAT: {"functions": ([],), "function_call": ("none", "auto"), "modalities": (["text"],), "audio": ()},
    TEXT: {"echo": (False,), "suffix": ("",), "best_of": (1,)},
}


@dataclass(frozen=True)
class Wish:
    """A checked request. `forwarded` is what the model service gets, but for the fields that we set."""

    endpoint: str
    model: str
    forwarded: dict[str, Any]
    choices: int
    max_tokens: int | None
    is_streamed: bool
    wants_usage: bool
    prompt_bytes: int
    fingerprint: str

    @property
    def estimated_prompt_tokens(self) -> int:
        """What to reserve; settled later to what the model counted. A token is about four bytes of English."""
        return self.prompt_bytes // 3 + 64


def read(endpoint: str, content: bytes) -> Wish:
    """The wish in the body of a request. Raises `ApiError` naming the field; the model service checks the rest."""
    if len(content) > LARGEST_BODY:
        raise ApiError(413, "request_too_large", f"A request has at most {LARGEST_BODY} bytes. Shorten it.")
    body = _object(content)
    prompt_field, fields = FIELDS[endpoint]
    prompt = body.get(prompt_field)
    if not isinstance(prompt, str | list) or not prompt:
        raise bad_request(f"`{prompt_field}` is missing or empty.", param=prompt_field)
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise bad_request("`model` is missing: name one that GET /v1/models lists.", param="model")
    for name, harmless in NOT_DONE[endpoint].items():
        if body.get(name) is not None and body[name] not in harmless:
            raise bad_request(f"`{name}` is not supported here.", param=name, code="unsupported_parameter")
    choices = _whole(body, "n", default=1) * _prompts(endpoint, prompt)
    if choices > MOST_CHOICES:
        raise bad_request(f"At most {MOST_CHOICES} replies can be asked for at once.", param="n")
    options = body.get("stream_options") or {}
    return Wish(
        endpoint=endpoint,
        model=model,
        forwarded={name: body[name] for name in fields if body.get(name) is not None} | _choices(body),
        choices=choices,
        max_tokens=_whole(body, "max_completion_tokens", default=0) or _whole(body, "max_tokens", default=0) or None,
        is_streamed=_boolean(body, "stream"),
        wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        prompt_bytes=len(json.dumps(prompt, ensure_ascii=False).encode(errors="replace")),
        fingerprint=hashlib.sha256(endpoint.encode() + b"\0" + content).hexdigest(),
    )


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
        json.dumps(body, ensure_ascii=False).encode()  # "\ud800" alone is JSON, and no text
    except (ValueError, RecursionError) as error:
        raise bad_request("The body is not JSON, or holds half of a character.") from error
    if not isinstance(body, dict):
        raise bad_request("The body is not a JSON object.")
    return body


def _whole(body: dict[str, Any], name: str, *, default: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000_000:
        raise bad_request(f"`{name}` is not a whole number from 1 to 1000000.", param=name)
    return int(value)


def _boolean(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise bad_request(f"`{name}` is neither true nor false.", param=name)
    return bool(value)


def _prompts(endpoint: str, prompt: str | list[Any]) -> int:
    """How many prompts there are: a list of texts, or of lists of tokens, is several."""
    is_several = endpoint == TEXT and isinstance(prompt, list) and not isinstance(prompt[0], int)
    return len(prompt) if is_several else 1


def _choices(body: dict[str, Any]) -> dict[str, int]:
    return {"n": body["n"]} if body.get("n") is not None else {}
