"""What can go wrong, in words a caller or an operator can act on."""

from __future__ import annotations


class InferenceError(Exception):
    """A failure whose message says what to do; the command line prints it without a traceback."""


class ModelError(InferenceError):
    """The files at MODEL cannot be served: missing, damaged, or of a family that is not supported."""


class RequestError(InferenceError):
    """A request that cannot be served as asked. Carries what OpenAI's error shape needs."""

    status = 400
    type = "invalid_request_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param


class ContextLengthExceeded(RequestError):  # noqa: N818 - named after OpenAI's error code
    """The prompt, or the prompt and the tokens asked for, is longer than the window."""

    def __init__(self, *, prompt_tokens: int, max_model_len: int) -> None:
        super().__init__(
            f"The prompt has {prompt_tokens} tokens; this model's window is {max_model_len} tokens, and at least one "
            "must be left for the reply. Shorten the messages.",
            code="context_length_exceeded",
            param="messages",
        )


class ModelNotFound(RequestError):  # noqa: N818
    """No model of that name is being served."""

    status = 404

    def __init__(self, name: str, available: list[str]) -> None:
        super().__init__(
            f"The model `{name}` is not served here. Available: {', '.join(available) or 'none yet'}.",
            code="model_not_found",
            param="model",
        )


class Overloaded(RequestError):  # noqa: N818
    """The queue is full; come back after `retry_after` seconds."""

    status = 429
    type = "rate_limit_error"

    def __init__(self, *, retry_after: float) -> None:
        super().__init__("The queue is full. Try again shortly.", code="queue_full")
        self.retry_after = retry_after


class Unavailable(RequestError):  # noqa: N818
    """The service cannot take the request now: it is loading, draining, or has failed."""

    status = 503
    type = "service_unavailable"

    def __init__(self, message: str, *, code: str = "unavailable", retry_after: float = 1.0) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class ServiceFault(RequestError):  # noqa: N818
    """A mistake in the service itself."""

    status = 500
    type = "server_error"

    def __init__(self) -> None:
        super().__init__("Something went wrong in the service; its log says what.", code="internal_error")
