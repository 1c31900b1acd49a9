"""The application: routes that parse, call one function, and answer."""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from inference.embedding import Embedder
from inference.engine import Engine
from inference.errors import RequestError, ServiceFault
from inference.loading import LoadedModel
from inference.metrics import Metrics
from inference.registry import ModelRegistry
from inference.server import ahead
from inference.server.ahead import RepliesAhead
from inference.server.embeddings import EmbeddingRequest, embed
from inference.server.limits import BodyLimit, require_key, require_operator
from inference.server.orders import Job, chat_job, completion_job, encode_chat
from inference.server.protocol import (
    ChatCompletionRequest,
    CompletionRequest,
    ErrorResponse,
    GenerationRequest,
    LoadModelRequest,
    TokenizeRequest,
    TokenizeResponse,
)
from inference.server.replies import Replies, unless_disconnected
from inference.server.shapes import ChatShape, Shape, TextShape
from inference.server.streaming import EventStream, error_body
from inference.settings import Settings

Asked = TypeVar("Asked", bound=GenerationRequest)
MakeJob = Callable[[Asked, LoadedModel, Settings], Awaitable[Job]]
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse} for status in (400, 401, 404, 413, 429, 500, 503)
}
probes = APIRouter()
openai = APIRouter(dependencies=[Depends(require_key)], responses=ERRORS)
admin = APIRouter(prefix="/admin", dependencies=[Depends(require_operator)], responses=ERRORS)


def create_app(settings: Settings, *, on_crash: Callable[[str], None]) -> FastAPI:
    """The service for `settings`. `on_crash` is told when an engine that serves has died."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.registry = ModelRegistry(settings, metrics=app.state.metrics, on_crash=on_crash)
        app.state.registry.start()
        yield
        await app.state.registry.close(settings.drain_seconds)

    app = FastAPI(title="Parley inference", version="1", lifespan=lifespan, docs_url="/docs", redoc_url=None)
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.embedder = Embedder(settings.embedder)
    app.state.ahead = RepliesAhead(settings.ahead_seconds)
    for router in (probes, openai, admin):
        app.include_router(router)
    app.add_middleware(BodyLimit, limit=settings.largest_body)
    app.add_exception_handler(RequestError, _answer_request_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_fault)
    return app


def _registry(request: Request) -> ModelRegistry:
    registry: ModelRegistry = request.app.state.registry
    return registry


@probes.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@probes.get("/readyz", responses={503: {"description": "A model is loading or has failed"}})
async def readyz(request: Request) -> JSONResponse:
    """Every model on offer can take a request."""
    registry = _registry(request)
    answer = {"models": registry.phases, "devices": {engine.name: _device(engine) for engine in registry.engines}}
    return JSONResponse(answer, status_code=200 if registry.is_ready else 503)


@probes.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@openai.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """The models on offer."""
    return {"object": "list", "data": [_described(engine) for engine in _registry(request).engines]}


@openai.get("/v1/models/{name}")
async def model(request: Request, name: str) -> dict[str, Any]:
    """One model on offer."""
    return _described(_registry(request).engine(name))


def _device(engine: Engine) -> str:
    """What the model runs on, and why: `cpu: torch finds no CUDA device`. Empty while it is loading."""
    try:
        choice = engine.model.device
    except RequestError:
        return ""
    return f"{choice.device}: {choice.reason}"


def _described(engine: Engine) -> dict[str, Any]:
    described: dict[str, Any] = {"id": engine.name, "object": "model", "created": engine.created, "owned_by": "parley"}
    described["phase"] = engine.phase.value
    with contextlib.suppress(RequestError):
        loaded = engine.model
        described |= {"max_model_len": loaded.max_len, "version": loaded.version}
        described |= {"precision": loaded.executor.precision, "template_sha256": loaded.template_sha256}
        described |= {"device": loaded.device.device, "device_reason": loaded.device.reason}
    return described


@openai.post("/v1/chat/completions", responses=ahead.BEGUN)
async def chat_completions(request: Request, body: ChatCompletionRequest) -> Response:
    """A chat completion in OpenAI's shape, whole or streamed, or begun ahead (`Prefer: respond-async`)."""
    return await _answer(request, body, chat_job, ChatShape)


@openai.post("/v1/completions", responses=ahead.BEGUN)
async def completions(request: Request, body: CompletionRequest) -> Response:
    """A bare completion in OpenAI's shape, whole or streamed, or begun ahead (`Prefer: respond-async`)."""
    return await _answer(request, body, completion_job, TextShape)


@openai.post("/v1/embeddings")
async def embeddings(request: Request, body: EmbeddingRequest) -> dict[str, Any]:
    """Vectors of meaning for texts, in OpenAI's shape."""
    return await embed(request.app.state.embedder, body)


@openai.post("/tokenize")
async def tokenize(request: Request, body: TokenizeRequest) -> TokenizeResponse:
    """How many tokens a prompt has."""
    loaded = _registry(request).engine(body.model).model
    if body.messages is not None:
        continues = body.continue_final_message
        if continues is None:
            continues = body.messages[-1].role == "assistant"
        tokens = await encode_chat(body.messages, loaded, continue_final=continues)
    else:
        tokens = await asyncio.to_thread(loaded.tokenizer.encode_text, body.prompt or "")
    return TokenizeResponse(count=len(tokens), max_model_len=loaded.max_len)


@admin.post("/models")
async def load_model(request: Request, body: LoadModelRequest) -> dict[str, Any]:
    """Serve another model, or another version under a name in use; answers when it is ready."""
    return _described(await _registry(request).load(body.name, Path(body.path)))


@admin.delete("/models/{name}")
async def unload_model(request: Request, name: str) -> dict[str, Any]:
    """Take a model off the offer; replies in the making are finished."""
    _registry(request).unload(name)
    return {"id": name, "object": "model", "deleted": True}


async def _answer(
    request: Request, body: Asked, make_job: MakeJob[Asked], make_shape: Callable[[Replies], Shape]
) -> Response:
    request_id = request.headers.get("x-request-id", "")[:64] or uuid.uuid4().hex
    begun: RepliesAhead = request.app.state.ahead
    replies = begun.take(request_id, body) or await _begin(request, body, make_job)
    if ahead.is_preferred(request):
        return begun.keep(request_id, body, replies)
    shape = make_shape(replies)
    if body.stream:
        if body.deadline:  # a deadline that passes in the queue must still be able to answer 503
            await unless_disconnected(request.receive, replies, replies.begun())
        return EventStream(
            shape,
            include_usage=bool(body.stream_options and body.stream_options.include_usage),
            reader_seconds=replies.engine.settings.reader_seconds,
            request_id=request_id,
        )
    try:
        deltas = await unless_disconnected(request.receive, replies, replies.collect())
    finally:
        replies.log(request_id)
    return JSONResponse(shape.complete(deltas), headers={"X-Request-ID": request_id})


async def _begin(request: Request, body: Asked, make_job: MakeJob[Asked]) -> Replies:
    """Give the job to the engine that serves the model now: made anew when another version took the name meanwhile."""
    registry = _registry(request)
    while True:
        engine = registry.engine(body.model)
        job = await make_job(body, engine.model, engine.settings)
        if registry.engine(body.model) is engine:
            return Replies(engine, engine.model, job)


async def _answer_request_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101 - registered for it
    headers = {}
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, round(retry_after)))
    return JSONResponse(error_body(error), status_code=error.status, headers=headers)


# Where a field takes several types, pydantic names the one that it tried last, after the field.
_OF_A_TYPE = re.compile(r"[\[(]|^(str|int|float|bool)$")


async def _answer_validation_error(_request: Request, error: Exception) -> Response:
    """The first problem, named by its field; the input is not echoed."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body" and not _OF_A_TYPE.search(str(part)))
    message = f"{where}: {first['msg']}" if where else str(first["msg"])
    return JSONResponse(error_body(RequestError(message, code="invalid_request", param=where or None)), status_code=400)


async def _answer_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = "not_found" if error.status_code == 404 else "http_error"
    body = error_body(RequestError(str(error.detail), code=code))
    return JSONResponse(body, status_code=error.status_code, headers=error.headers)


async def _answer_fault(_request: Request, _error: Exception) -> Response:
    """A fault of ours: the log has it, the caller learns nothing of the inside."""
    return JSONResponse(error_body(ServiceFault()), status_code=ServiceFault.status)
