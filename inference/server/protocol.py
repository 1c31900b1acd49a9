"""Requests as clients send them: OpenAI's fields, and those of our own."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Role = Literal["system", "developer", "user", "assistant", "tool"]


def _well_formed(text: str) -> str:
    """JSON can spell half a character (a lone surrogate); no tokenizer can read it."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text holds a lone surrogate, which is not a character")
    return text


Text = Annotated[str, AfterValidator(_well_formed)]
Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]


class _Request(BaseModel):
    """Unknown fields are ignored, as OpenAI clients send many; numbers are finite."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class TextPart(_Request):
    """A part of a message's content. Only text is understood."""

    type: Literal["text"]
    text: Text


class Message(_Request):
    """One turn of a chat."""

    role: Role
    content: Text | list[TextPart] | None = None
    name: str | None = Field(default=None, max_length=256)

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""

    def as_template_input(self) -> dict[str, Any]:
        role = "system" if self.role == "developer" else self.role
        return {"role": role, "content": self.text}


class StreamOptions(_Request):
    """`include_usage` puts the token counts into the last chunk."""

    include_usage: bool = False


class JsonSchema(_Request):
    """A named JSON schema, under OpenAI's key."""

    name: str = Field(default="reply", max_length=256)
    schema_: dict[str, Any] = Field(default_factory=lambda: {"type": "object"}, alias="schema")
    strict: bool | None = None


class TextFormat(_Request):
    """Free text."""

    type: Literal["text"]


class JsonObjectFormat(_Request):
    """Any JSON object."""

    type: Literal["json_object"]


class JsonSchemaFormat(_Request):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class GenerationRequest(_Request):
    """What chat and bare completions share."""

    model: Text | None = Field(default=None, max_length=256)
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=1.0, ge=0.0, le=10.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int = Field(default=0, ge=-1, le=1_000_000, description="0 or -1: no limit")
    min_p: float = Field(default=0.0, ge=0.0, le=1.0)
    repetition_penalty: float = Field(default=1.0, gt=0.0, le=10.0)
    frequency_penalty: float = Field(default=0.0, ge=-2.0, le=2.0)
    presence_penalty: float = Field(default=0.0, ge=-2.0, le=2.0)
    logit_bias: dict[str, Annotated[float, Field(ge=-100.0, le=100.0)]] | None = Field(default=None, max_length=1024)
    seed: Seed | None = None
    n: int = Field(default=1, ge=1)
    stop: Text | list[Text] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: Text | None = Field(default=None, max_length=256)
    priority: int = Field(default=0, ge=-1000, le=1000, description="Smaller is served sooner")
    deadline: float | None = Field(
        default=None, gt=0.0, le=86_400.0, description="Seconds a request may wait in the queue"
    )
    ignore_eos: bool = Field(default=False, description="Go on after the model ends its reply, up to max_tokens")
    response_format: ResponseFormat | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        stops = [self.stop] if isinstance(self.stop, str) else (self.stop or [])
        return tuple(stop for stop in stops if stop)


class ChatCompletionRequest(GenerationRequest):
    """`POST /v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1, max_length=4096)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool = False
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    continue_final_message: bool = False
    tools: list[dict[str, Any]] | None = None

    @property
    def logprob_count(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionRequest(GenerationRequest):
    """`POST /v1/completions`."""

    prompt: Text | list[Text] | list[int] | list[list[int]]
    logprobs: int | None = Field(default=None, ge=0, le=20)

    @property
    def logprob_count(self) -> int | None:
        return self.logprobs

    @property
    def prompts(self) -> list[str] | list[list[int]]:
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and isinstance(self.prompt[0], int):
            return [cast(list[int], self.prompt)]
        return cast(list[str] | list[list[int]], self.prompt)


class TokenizeRequest(_Request):
    """`POST /tokenize`: messages through the chat template, or a bare prompt.

    Unless said otherwise, a final message of the assistant is one to be continued.
    """

    model: Text | None = Field(default=None, max_length=256)
    messages: list[Message] | None = Field(default=None, min_length=1, max_length=4096)
    prompt: Text | None = None
    continue_final_message: bool | None = None


class TokenizeResponse(BaseModel):
    """The length of the prompt, and the window it must fit into."""

    count: int
    max_model_len: int


class LoadModelRequest(_Request):
    """`POST /admin/models`: `path` is a directory or a GGUF file on the server."""

    name: str = Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@:-]*$")
    path: str = Field(min_length=1, max_length=4096)


class ErrorDetail(BaseModel):
    """OpenAI's error."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorResponse(BaseModel):
    """OpenAI's error, in its envelope."""

    error: ErrorDetail
