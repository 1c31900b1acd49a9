"""Text to tokens and back: tokenizer.json or a GGUF's vocabulary, and the bytes that each token stands for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from inference.chat_template import ChatTemplate, Piece
from inference.config import ModelConfig
from inference.detokenizer import TokenTable
from inference.errors import ModelError
from inference.gguf_tokenizer import build_tokenizer
from inference.weights import GGUFWeights, WeightSource

SPIECE_SPACE = "▁"
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end_of_turn|>", "<|endoftext|>", "</s>")


class TextTokenizer:
    """Encodes prompts and knows the bytes of every token."""

    def __init__(
        self, tokenizer: Tokenizer, config: ModelConfig, *, template: ChatTemplate | None, begin_token: int | None
    ) -> None:
        self.backend = tokenizer
        self.vocabulary = config.vocabulary
        self.template = template
        self._begin_token = begin_token
        self._plain = _without_control_tokens(tokenizer)
        self.control_ids = frozenset(
            index for index, token in tokenizer.get_added_tokens_decoder().items() if token.special
        )
        self.table = TokenTable(_token_bytes(tokenizer, config.vocabulary, self.control_ids))
        self.end_ids = self._end_ids(config)

    def _end_ids(self, config: ModelConfig) -> frozenset[int]:
        """The tokens that end a reply: those the model names, and the well-known ends of a turn that it has."""
        named = set(config.end_tokens)
        known = {self.backend.token_to_id(text) for text in TURN_ENDS}
        return frozenset(named | {index for index in known if index is not None and index in self.control_ids})

    def encode_text(self, text: str) -> list[int]:
        """A bare prompt, after the begin token if the model wants one; control tokens in it are plain text."""
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return ids if self._begin_token is None else [self._begin_token, *ids]

    def encode_messages(self, messages: Sequence[dict[str, Any]], *, continue_final_message: bool = False) -> list[int]:
        """The prompt for a chat, through the model's template. Raises RequestError when the template refuses."""
        if self.template is None:
            raise ModelError("This model has no chat template; use /v1/completions.")
        pieces = self.template.render(messages, continue_final_message=continue_final_message)
        return [token for piece in pieces for token in self._encode_piece(piece)]

    def _encode_piece(self, piece: Piece) -> list[int]:
        encoder = self.backend if piece.trusted else self._plain
        ids: list[int] = encoder.encode(piece.text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; control tokens are silent, broken bytes become replacement characters."""
        return b"".join(self.table.bytes[index] for index in ids).decode(errors="replace")


def load_tokenizer(source: WeightSource) -> TextTokenizer:
    """The tokenizer that belongs to the weights. Raises ModelError."""
    if isinstance(source, GGUFWeights):
        return _from_gguf(source)
    return _from_directory(source.path, source.config)


def _from_directory(directory: Path, config: ModelConfig) -> TextTokenizer:
    path = directory / "tokenizer.json"
    if not path.exists():
        raise ModelError(f"{directory} has no tokenizer.json.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ModelError(f"{path} cannot be read: {error}") from error
    settings_path = directory / "tokenizer_config.json"
    settings = json.loads(settings_path.read_text()) if settings_path.exists() else {}
    template_path = directory / "chat_template.jinja"
    template = template_path.read_text() if template_path.exists() else settings.get("chat_template")
    if isinstance(template, list):
        template = next((item["template"] for item in template if item.get("name") == "default"), None)
    special = {name: _text_of(settings.get(name)) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    begin = tokenizer.token_to_id(special["bos_token"]) if settings.get("add_bos_token") else None
    return _assemble(tokenizer, config, template=template, special=special, begin_token=begin)


def _from_gguf(source: GGUFWeights) -> TextTokenizer:
    metadata = source.file.metadata
    tokenizer = build_tokenizer(metadata, path=source.path)

    def text_of(name: str) -> str:
        index = metadata.get(f"tokenizer.ggml.{name}_token_id")
        return "" if index is None else str(metadata["tokenizer.ggml.tokens"][index])

    special = {"bos_token": text_of("bos"), "eos_token": text_of("eos"), "unk_token": text_of("unknown")}
    begin = metadata.get("tokenizer.ggml.bos_token_id") if metadata.get("tokenizer.ggml.add_bos_token") else None
    template = metadata.get("tokenizer.chat_template")
    return _assemble(tokenizer, source.config, template=template, special=special, begin_token=begin)


def _assemble(
    tokenizer: Tokenizer, config: ModelConfig, *, template: Any, special: dict[str, str], begin_token: int | None
) -> TextTokenizer:
    controls = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    compiled = ChatTemplate(template, control_texts=controls, special=special) if isinstance(template, str) else None
    return TextTokenizer(tokenizer, config, template=compiled, begin_token=begin_token)


def _text_of(token: Any) -> str:
    """A special token as tokenizer_config.json writes it: a string, or an object with its content."""
    if isinstance(token, dict):
        return str(token.get("content", ""))
    return token or ""


def _without_control_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """One that reads added tokens as the characters they are written with. It shares the other's vocabulary."""
    plain = Tokenizer(tokenizer.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if (step := getattr(tokenizer, part)) is not None:
            setattr(plain, part, step)
    return plain


def _token_bytes(tokenizer: Tokenizer, vocabulary: int, control_ids: frozenset[int]) -> list[bytes]:
    """For each id the bytes it adds to the text; control tokens and unused ids add none."""
    is_byte_level = "ByteLevel" in f"{tokenizer.decoder!r} {tokenizer.pre_tokenizer!r}"
    bytes_of = _byte_level if is_byte_level else _sentence_piece
    added = tokenizer.get_added_tokens_decoder()
    table = [b""] * vocabulary
    for text, index in tokenizer.get_vocab(with_added_tokens=True).items():
        if index not in control_ids and index < vocabulary:
            table[index] = text.encode() if index in added else bytes_of(text)
    return table


def _byte_level_alphabet() -> dict[int, int]:
    """For each of GPT-2's printable stand-ins, the byte it stands for."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in printable)
    return {byte: byte for byte in printable} | {256 + index: byte for index, byte in enumerate(others)}


BYTE_LEVEL = _byte_level_alphabet()
STAND_INS = frozenset(map(chr, BYTE_LEVEL))


def _byte_level(text: str) -> bytes:
    return text.translate(BYTE_LEVEL).encode("latin-1") if STAND_INS.issuperset(text) else text.encode()


def _sentence_piece(text: str) -> bytes:
    if len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
        return bytes([int(text[3:5], 16)])
    return text.replace(SPIECE_SPACE, " ").encode()
