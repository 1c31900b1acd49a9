"""What a completion that broke off cost, counted by the model's own tokenizer."""

from __future__ import annotations

from typing import Any

from chat import inference
from chat.openai.asking import CHAT, Wish


def counted(wish: Wish, text: str) -> tuple[int, int]:
    """(prompt tokens, completion tokens) when `text` was delivered; estimated while the model service is away."""
    try:
        return _prompt_tokens(wish), inference.count_text(text, model=wish.model)
    except inference.ModelUnavailable:
        return wish.estimated_prompt_tokens, len(text.encode()) // 3 + 1


def _prompt_tokens(wish: Wish) -> int:
    if wish.endpoint == CHAT:
        return inference.count_tokens(wish.forwarded["messages"], model=wish.model)
    prompt: Any = wish.forwarded["prompt"]
    parts = [prompt] if isinstance(prompt, str) or isinstance(prompt[0], int) else prompt
    return sum(inference.count_text(part, model=wish.model) if isinstance(part, str) else len(part) for part in parts)
