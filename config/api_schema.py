"""What drf-spectacular cannot see of the API: errors, streams, and `/v1`, which speaks OpenAI's shapes."""

from __future__ import annotations

from typing import Any

from config import api_examples, api_links

Schema = dict[str, Any]

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "fields": {}},
        }
    },
}
OPENAI_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}
MEANINGS = {
    "400": "Something in it is wrong; the message says what to do.",
    "401": "No key or session, or a key that does not work.",
    "403": "The key's scope or the plan does not include this.",
    "404": "There is no such thing of yours.",
    "405": "The address takes other methods.",
    "409": "The request with this Idempotency-Key is still being answered.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "429": "A limit is reached; `Retry-After` and `RateLimit` say when it comes back.",
    "503": "The model is away for the moment.",
}
ORDINARY = ("400", "401", "403", "404", "405", "415", "429")
NOT_NOW = "Nothing to release yet, or it is no longer being made; the message says which."
MAY_HAVE_TO_WAIT = ("releases_create", "releases_cancel_create")
EVENT = {"type": "object", "properties": {name: {"type": "string"} for name in ("event", "data", "id")}}
READING = ("401", "403", "404", "405")
KEYS: list[Schema] = [{"apiKey": []}]
MODEL = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
    },
}
SAMPLING: Schema = {
    "model": {"type": "string", "examples": ["smollm2-135m-instruct"]},
    "max_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
    "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1},
    "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 8},
    "seed": {"type": ["integer", "null"], "minimum": 0, "maximum": 2_147_483_647},
    "stop": {"type": ["string", "array", "null"], "maxLength": 100, "items": {"type": "string"}, "maxItems": 4},
    "stream": {"type": ["boolean", "null"]},
}
MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["system", "user", "assistant"]}, "content": {"type": "string"}},
}
CHAT_REQUEST = {
    "type": "object",
    "required": ["model", "messages"],
    "properties": {
        **SAMPLING,
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": MESSAGE,
            "examples": [[{"role": "user", "content": "What is the capital of France?"}]],
        },
    },
}
TEXT_REQUEST = {
    "type": "object",
    "required": ["model", "prompt"],
    "properties": {**SAMPLING, "prompt": {"type": "string", "minLength": 1, "examples": ["The capital of France is"]}},
}
SAID = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"const": "assistant"}, "content": {"type": ["string", "null"]}},
}
USAGE = {
    "type": "object",
    "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
    "properties": {name: {"type": "integer"} for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
}


def _whole_answer(kind: str, said: Schema) -> Schema:
    """An answer in OpenAI's shape; `said` is what a choice holds."""
    choice = {
        "type": "object",
        "required": ["index", "finish_reason", *said],
        "properties": {"index": {"type": "integer"}, "finish_reason": {"type": "string"}, "logprobs": {}, **said},
    }
    return {
        "type": "object",
        "required": ["id", "object", "created", "model", "choices", "usage"],
        "properties": {
            "id": {"type": "string"},
            "object": {"const": kind},
            "created": {"type": "integer"},
            "model": {"type": "string"},
            "choices": {"type": "array", "minItems": 1, "items": choice},
            "usage": USAGE,
        },
    }


CHAT_ANSWER = _whole_answer("chat.completion", {"message": SAID})
TEXT_ANSWER = _whole_answer("text_completion", {"text": {"type": "string"}})
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255, "pattern": "^[!-~]*$"},
    "description": "The same key and body give the first answer again for 24 hours.",
}


def completed(result: Schema, **_arguments: Any) -> Schema:
    """A postprocessing hook of drf-spectacular."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas["Error"], schemas["OpenAIError"] = ERROR, OPENAI_ERROR
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"].update(_errors("Error", ORDINARY))
            if example := api_examples.EXAMPLES.get(operation["operationId"]):
                operation["requestBody"]["content"]["application/json"]["example"] = example
            if operation["operationId"] in MAY_HAVE_TO_WAIT:
                operation["responses"]["409"] = _answer(NOT_NOW, {"$ref": "#/components/schemas/Error"})
            if _may_stream(operation, schemas):
                operation["responses"]["201"]["content"]["text/event-stream"] = {"schema": EVENT}
    result["paths"].update(_openai())
    result["paths"]["/api/replies/{reply_id}/events"] = _events()
    api_links.link(result)
    return result


def _may_stream(operation: Schema, schemas: Schema) -> bool:
    """Whether the request has a field `stream`, by which the answer becomes the events of its reply."""
    asked = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = asked.get("$ref", "").rpartition("/")[2]
    return "stream" in schemas.get(name, {}).get("properties", {})


def _errors(name: str, codes: tuple[str, ...]) -> Schema:
    return {code: _answer(MEANINGS[code], {"$ref": f"#/components/schemas/{name}"}) for code in codes}


def _answer(description: str, schema: Schema, *more: str) -> Schema:
    content: Schema = {"application/json": {"schema": schema}}
    return {"description": description, "content": content | {kind: {"schema": EVENT} for kind in more}}


def _openai() -> Schema:
    """`/v1`, with the fields of OpenAI's API that most programs send; docs/api.md names the others."""
    listed = {"type": "object", "required": ["data"], "properties": {"data": {"type": "array", "items": MODEL}}}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "/v1/chat/completions": {"post": _completion("v1_chat_completions", CHAT_REQUEST, CHAT_ANSWER)},
        "/v1/completions": {"post": _completion("v1_completions", TEXT_REQUEST, TEXT_ANSWER)},
        "/v1/models": {"get": _v1("v1_models", "The models that your plan includes.", listed)},
        "/v1/models/{name}": {"get": _v1("v1_model", "One model.", MODEL) | {"parameters": [name]}},
    }


def _v1(operation: str, description: str, answer: Schema) -> Schema:
    return {
        "operationId": operation,
        "description": description,
        "tags": ["v1"],
        "security": KEYS,
        "responses": {
            "200": _answer("OpenAI's shape.", answer),
            **_errors("OpenAIError", ("401", "403", "404", "405")),
        },
    }


def _completion(operation: str, request: Schema, answer: Schema) -> Schema:
    found = _v1(operation, "As OpenAI's API; with `stream` as server-sent events.", answer)
    found["requestBody"] = {"required": True, "content": {"application/json": {"schema": request}}}
    found["parameters"] = [IDEMPOTENCY_KEY]
    found["responses"]["200"] = _answer("OpenAI's shape.", answer, "text/event-stream")
    found["responses"] |= _errors("OpenAIError", ("400", "409", "413", "429", "503"))
    return found


def _events() -> Schema:
    reply = {"name": "reply_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
    description = "The reply as server-sent events; goes on after the id in `Last-Event-ID`, and ends with `end`."
    stream = {"text/event-stream": {"schema": EVENT}}
    answers = {"200": {"description": "A stream.", "content": stream}, **_errors("Error", ("401", "404"))}
    operation = {"operationId": "reply_events", "description": description, "tags": ["replies"]}
    return {"get": {**operation, "security": [*KEYS, {"cookieAuth": []}], "parameters": [reply], "responses": answers}}
