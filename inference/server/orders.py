"""From a request to orders for the engine: prompts tokenised, limits checked, every parameter in the engine's terms."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from inference.engine import choices
from inference.errors import ContextLengthExceeded, RequestError
from inference.generation import Order
from inference.grammar import Grammar
from inference.loading import LoadedModel
from inference.sampling import SamplingParameters
from inference.server.protocol import ChatCompletionRequest, CompletionRequest, GenerationRequest, Message
from inference.settings import Settings

DEFAULT_MAX_TOKENS = 1024
MOST_STOPS = 16
LONGEST_STOP = 256
QUICK_CHARACTERS = 20_000
"""Longer prompts are tokenised in a thread of their own, so that they do not hold up the others' streams."""


@dataclass(frozen=True)
class Job:
    """The orders of one request: one for each prompt and choice. `seed` is the first one's."""

    orders: list[Order]
    seed: int
    prompt_tokens: int


async def chat_job(request: ChatCompletionRequest, model: LoadedModel, settings: Settings) -> Job:
    """The job that a chat request asks for. Raises RequestError."""
    if request.tools:
        raise RequestError("This model cannot call tools.", code="unsupported", param="tools")
    if request.continue_final_message and request.messages[-1].role != "assistant":
        raise RequestError("The last message must be the assistant's.", param="continue_final_message")
    prompt = await encode_chat(request.messages, model, continue_final=request.continue_final_message)
    max_tokens = request.max_completion_tokens or request.max_tokens
    return await _job(request, [prompt], model, settings, max_tokens=max_tokens, logprobs=request.logprob_count)


async def completion_job(request: CompletionRequest, model: LoadedModel, settings: Settings) -> Job:
    """The job that a bare completion asks for. Raises RequestError."""
    prompts = request.prompts
    if not prompts or any(not prompt for prompt in prompts):
        raise RequestError("The prompt is empty.", param="prompt")
    encoded = [await _encode_prompt(prompt, model) for prompt in prompts]
    return await _job(request, encoded, model, settings, max_tokens=request.max_tokens, logprobs=request.logprob_count)


async def encode_chat(messages: Sequence[Message], model: LoadedModel, *, continue_final: bool) -> list[int]:
    """The tokens of a templated chat."""
    if model.tokenizer.template is None:
        raise RequestError("This model has no chat template; use /v1/completions.", code="no_chat_template")
    plain = [message.as_template_input() for message in messages]
    characters = sum(len(message["content"]) for message in plain)
    if characters <= QUICK_CHARACTERS:
        return model.tokenizer.encode_messages(plain, continue_final_message=continue_final)
    return await asyncio.to_thread(model.tokenizer.encode_messages, plain, continue_final_message=continue_final)


async def _encode_prompt(prompt: str | list[int], model: LoadedModel) -> list[int]:
    if isinstance(prompt, list):
        if any(not 0 <= token < model.config.vocabulary for token in prompt):
            raise RequestError("The prompt holds a token id that this model does not have.", param="prompt")
        return prompt
    tokens = await asyncio.to_thread(model.tokenizer.encode_text, prompt)
    if not tokens:
        raise RequestError("The prompt is empty.", param="prompt")
    return tokens


async def _job(
    request: GenerationRequest,
    prompts: Sequence[list[int]],
    model: LoadedModel,
    settings: Settings,
    *,
    max_tokens: int | None,
    logprobs: int | None,
) -> Job:
    if request.n * len(prompts) > settings.largest_n:
        raise RequestError(f"At most {settings.largest_n} replies can be asked for at once.", param="n")
    for prompt in prompts:
        if len(prompt) >= model.max_len:
            raise ContextLengthExceeded(prompt_tokens=len(prompt), max_model_len=model.max_len)
    seed = request.seed if request.seed is not None else secrets.randbelow(2**53)
    sampling = _sampling(request, model, seed=seed, logprobs=logprobs)
    orders = []
    for prompt in prompts:
        order = Order(
            prompt=prompt,
            max_tokens=min(max_tokens or DEFAULT_MAX_TOKENS, model.max_len - len(prompt)),
            sampling=sampling,
            stops=_stops(request),
            priority=request.priority,
            user=request.user or "",
            deadline=time.monotonic() + request.deadline if request.deadline else None,
            ignores_end=request.ignore_eos,
        )
        orders.extend([replace(each, grammar=await _grammar(request, model)) for each in choices(order, request.n)])
    return Job(orders, seed, sum(len(prompt) for prompt in prompts))


async def _grammar(request: GenerationRequest, model: LoadedModel) -> Grammar | None:
    if request.response_format is None:
        return None
    described: dict[str, Any] = request.response_format.model_dump(by_alias=True)
    return await asyncio.to_thread(model.grammars.compile, described)


def _stops(request: GenerationRequest) -> tuple[str, ...]:
    stops = request.stops
    if len(stops) > MOST_STOPS or any(len(stop) > LONGEST_STOP for stop in stops):
        raise RequestError(f"At most {MOST_STOPS} stop strings of {LONGEST_STOP} characters each.", param="stop")
    return stops


def _sampling(request: GenerationRequest, model: LoadedModel, *, seed: int, logprobs: int | None) -> SamplingParameters:
    bias: dict[int, float] = {}
    for key, value in (request.logit_bias or {}).items():
        if not (key.isascii() and key.isdigit() and int(key) < model.config.vocabulary):
            raise RequestError("logit_bias names a token id that this model does not have.", param="logit_bias")
        bias[int(key)] = value
    return SamplingParameters(
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=max(0, request.top_k),
        min_p=request.min_p,
        repetition_penalty=request.repetition_penalty,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        logit_bias=bias,
        seed=seed,
        logprobs=logprobs,
    )
