"""Builds a tokenizer from the vocabulary that a GGUF file carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

from inference.errors import ModelError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
LLAMA3_PATTERN = "|".join(
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
QWEN2_PATTERN = LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")


def build_tokenizer(metadata: dict[str, Any], *, path: Path) -> Tokenizer:
    """The tokenizer described by `tokenizer.ggml.*`. Raises ModelError for a kind that is not supported."""
    try:
        kind = metadata["tokenizer.ggml.model"]
        tokens: list[str] = metadata["tokenizer.ggml.tokens"]
        types: list[int] = metadata.get("tokenizer.ggml.token_type") or [NORMAL] * len(tokens)
    except KeyError as error:
        raise ModelError(f"{path} carries no tokenizer ({error} is missing).") from error
    if kind == "gpt2":
        tokenizer = _byte_level(metadata, tokens, path=path)
    elif kind == "llama":
        tokenizer = _sentence_piece(metadata, tokens)
    else:
        raise ModelError(f"{path} has a tokenizer of kind '{kind}'; supported are gpt2 and llama.")
    added = [
        AddedToken(text, special=token_type == CONTROL, normalized=False)
        for text, token_type in zip(tokens, types, strict=True)
        if token_type in (CONTROL, USER_DEFINED)
    ]
    tokenizer.add_tokens(added)
    return tokenizer


def _byte_level(metadata: dict[str, Any], tokens: list[str], *, path: Path) -> Tokenizer:
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    vocabulary = {text: index for index, text in enumerate(tokens)}
    style = str(metadata.get("tokenizer.ggml.pre", "default"))
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges, ignore_merges=style == "llama-bpe"))
    if style in ("llama-bpe", "llama3", "llama-v3"):
        tokenizer.pre_tokenizer = _split(LLAMA3_PATTERN)
    elif style == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = _split(QWEN2_PATTERN)
    elif style == "smollm":
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    elif style in ("gpt-2", "default"):
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    else:
        raise ModelError(
            f"{path} splits text in the style '{style}', which is not supported; use the Hugging Face directory."
        )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _split(pattern: str) -> pre_tokenizers.PreTokenizer:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), behavior="isolated"), byte_level])


def _sentence_piece(metadata: dict[str, Any], tokens: list[str]) -> Tokenizer:
    """SentencePiece BPE: the merges are not stored, but follow from the scores."""
    scores: list[float] = metadata["tokenizer.ggml.scores"]
    vocabulary = {text: index for index, text in enumerate(tokens)}
    ranked: list[tuple[float, str, str]] = []
    for text, index in vocabulary.items():
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in vocabulary and right in vocabulary:
                ranked.append((-scores[index], left, right))
    ranked.sort(key=lambda merge: merge[0])
    merges = [(left, right) for _score, left, right in ranked]
    unknown = tokens[int(metadata.get("tokenizer.ggml.unknown_token_id", 0))]
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    steps: list[normalizers.Normalizer] = [normalizers.Replace(" ", "▁")]
    if metadata.get("tokenizer.ggml.add_space_prefix", True):
        steps.insert(0, normalizers.Prepend("▁"))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer
