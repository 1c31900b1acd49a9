"""Ask one question first when a request is unclear: whether to ask, what to ask, and which answers to offer.

The model is asked twice, each time held to a JSON schema: whether something is missing in the request, and, where it
finds that likelier than the person's threshold, for a question with answers. Whatever makes no good question is none:
the reply then answers. docs/clarifying.md says how often the default model is right about it.
"""

from __future__ import annotations

import json
import unicodedata
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from chat import certainty, inference
from chat.inference import Chunk
from chat.models import Clarification, Message, Reply

# A reply that asks ends with this reason.
FINISH_REASON = "clarification"
READ_CHARACTERS = 2000
READ_BEFORE_CHARACTERS = 300
_DECISION_TOKENS = 16
_QUESTION_TOKENS = 200
# Format characters that words are written with: joiners of Persian, of Indian scripts and of emoji.
_JOINERS = "\u200c\u200d"

_DECIDE = (
    "You decide whether a request is unclear, because something important is missing: who, what, where, when or "
    "which one."
)
_IS_MISSING = "Is something missing in this request?\n\n{}"
# Small models follow examples, not descriptions.
_DECIDED = (
    ("What is the boiling point of water?", False),
    ("Send it to her.", True),
    ("Who was the first person on the Moon?", False),
    ("How tall is it?", True),
    ("Write a poem about the sea.", False),
    ("Book a flight.", True),
    ("水在多少度沸腾?", False),
    ("发给她。", True),
    ("How many legs does a spider have?", False),
    ("Tell me about Jaguar.", True),
)
_DECISION = {
    "type": "object",
    "properties": {"ambiguous": {"type": "boolean"}},
    "required": ["ambiguous"],
    "additionalProperties": False,
}
_ASK = (
    "A request leaves something out. You ask one short question about it, in the language of the request, and offer "
    "short answers to choose from."
)
_ASKED_ENGLISH = (
    ("Send it to her.", "What shall I send?", ["A letter", "A file", "A picture"]),
    ("Tell me about Jaguar.", "Which Jaguar do you mean?", ["The animal", "The car maker"]),
    ("Book a flight.", "Where do you want to fly?", ["Within the country", "Within Europe", "To another continent"]),
)
_ASKED_CHINESE = (
    ("发给她。", "要发什么?", ["一封信", "一个文件", "一张图片"]),
    ("介绍一下小米。", "您指的是哪个小米?", ["小米公司", "谷物小米"]),
    ("订机票。", "您想飞往哪里?", ["国内", "亚洲其他国家", "其他大洲"]),
)
_QUESTION = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "minLength": 3, "maxLength": Clarification.LONGEST_QUESTION},
        "options": {
            "type": "array",
            "minItems": Clarification.FEWEST,
            "maxItems": Clarification.MOST,
            "items": {"type": "string", "minLength": 1, "maxLength": Clarification.LONGEST_OPTION},
        },
    },
    "required": ["question", "options"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Request:
    """What a person said, the exchange before it, and how likely it must be unclear to be asked about."""

    words: str
    before: str
    threshold: float


@dataclass(frozen=True)
class Asked:
    """A question with the answers it offers. `receipt` is the model service's."""

    question: str
    options: tuple[str, ...]
    probability: float
    receipt: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What the reply says wherever nothing can be tapped: to the model, in files, on shared pages."""
        return "\n".join([self.question, "", *(f"- {option}" for option in self.options)])


@dataclass(frozen=True)
class Considered:
    """How likely the model found the request unclear, and what it asks about it, if anything."""

    probability: float | None = None
    asked: Asked | None = None


def kept(reply: Reply) -> Asked | None:
    """The question that an earlier attempt at this reply came to, if it did."""
    known = Clarification.objects.filter(reply=reply).first()
    if known is None:
        return None
    receipt = {"model_version": reply.model_version, "template_sha256": reply.template_sha256}
    return Asked(known.question, tuple(known.options), known.probability, receipt)


def keep(asked: Asked, *, reply: Reply) -> None:
    """Store the question before anybody sees it, so that whoever goes on with the reply asks the same.

    Runs in the caller's transaction, which holds the reply.
    """
    Clarification.objects.get_or_create(
        reply=reply,
        defaults={"question": asked.question, "options": list(asked.options), "probability": asked.probability},
    )
    reply.model_version = asked.receipt.get("model_version", "")
    reply.template_sha256 = asked.receipt.get("template_sha256", "")
    reply.save(update_fields=["model_version", "template_sha256"])


def request_of(reply: Reply) -> Request | None:
    """What to decide about; None for a reply that is to answer at once.

    Nobody is asked twice: not after a question, and not in a place of the conversation where there is one already,
    whether they want it just answered or have put the request in other words.
    """
    if reply.ask_threshold is None:
        return None
    question = Message.objects.select_related("parent__parent").get(children=reply.pk)
    here = Q(reply__message__conversation=question.conversation_id, reply__message__parent__parent=question.parent_id)
    if Clarification.objects.filter(here | Q(reply=question.parent_id)).exists():
        return None
    said_before = (question.parent.parent, question.parent) if question.parent else ()
    before = "\n".join(one.content[:READ_BEFORE_CHARACTERS] for one in said_before if one)
    return Request(question.content[:READ_CHARACTERS], before, reply.ask_threshold)


async def consider(
    request: Request, *, made_with: dict[str, Any], chunks: Callable[[dict[str, Any]], AsyncIterator[Chunk]]
) -> Considered:
    """Whether and what to ask. `made_with` goes into each body; `chunks` sends one to the model.

    Raises `inference.ModelUnavailable`; a model service that cannot do it asks nothing.
    """
    try:
        decision = await _whole(chunks({**made_with, **_deciding(request)}))
        probability = how_unclear(decision.tokens)
        if probability is None or probability < request.threshold:
            return Considered(probability)
        written = await _whole(chunks({**made_with, **_composing(request)}))
    except inference.ModelRefused:
        return Considered()
    found = read(written.text, about=request.words)
    if found is None:
        return Considered(probability)
    return Considered(probability, Asked(*found, probability=probability, receipt=written.receipt))


async def _whole(chunks: AsyncIterator[Chunk]) -> Chunk:
    text, tokens, receipt = "", list[certainty.Token](), dict[str, Any]()
    async for chunk in chunks:
        text += chunk.text
        tokens += chunk.tokens
        receipt = chunk.receipt or receipt
    return Chunk(text=text, tokens=tuple(tokens), receipt=receipt)


def _deciding(request: Request) -> dict[str, Any]:
    shown = [(_IS_MISSING.format(words), {"ambiguous": verdict}) for words, verdict in _DECIDED]
    asks = _IS_MISSING.format(request.words)
    if request.before:
        asks = f"Earlier:\n{request.before}\n\n{asks}"
    return {**_body(_DECIDE, shown, asks, _DECISION), "max_tokens": _DECISION_TOKENS, **certainty.ASKED}


def _composing(request: Request) -> dict[str, Any]:
    is_chinese = any("\u4e00" <= character <= "\u9fff" for character in request.words)
    examples = _ASKED_CHINESE if is_chinese else _ASKED_ENGLISH
    shown = [(words, {"question": question, "options": options}) for words, question, options in examples]
    asks = f"{request.before}\n\n{request.words}" if request.before else request.words
    return {**_body(_ASK, shown, asks, _QUESTION), "max_tokens": _QUESTION_TOKENS}


def _body(system: str, shown: Iterable[tuple[str, Any]], asks: str, schema: dict[str, Any]) -> dict[str, Any]:
    examples = [
        {"role": role, "content": content}
        for words, answer in shown
        for role, content in (("user", words), ("assistant", json.dumps(answer, ensure_ascii=False)))
    ]
    return {
        "messages": [{"role": "system", "content": system}, *examples, {"role": "user", "content": asks}],
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}},
    }


def how_unclear(tokens: Iterable[certainty.Token]) -> float | None:
    """The probability of `true` where the decision says true or false, against that of `false`; None if it does not."""
    for token in tokens:
        said = [(token.data.decode(errors="replace"), token.probability), *token.alternatives]
        if not any(_begins(said[0][0], word) for word in ("true", "false")):
            continue
        yes, no = (sum(share for text, share in said if _begins(text, word)) for word in ("true", "false"))
        return yes / (yes + no) if yes + no else None
    return None


def _begins(text: str, word: str) -> bool:
    return bool(text.strip()) and word.startswith(text.strip())


def read(text: str, *, about: str) -> tuple[str, tuple[str, ...]] | None:
    """Question and answers out of what the model wrote; None where they are not both there, or too long, or where they
    only say the request or an example again."""
    try:
        written = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(written, dict) or not isinstance(written.get("options"), list):
        return None
    question = _line(written.get("question"), Clarification.LONGEST_QUESTION)
    if not question or question.casefold() == _line(about, READ_CHARACTERS).casefold():
        return None
    options: dict[str, str] = {}
    for one in written["options"]:
        if option := _line(one, Clarification.LONGEST_OPTION):
            options.setdefault(option.casefold(), option)
    chosen = tuple(options.values())[: Clarification.MOST]
    is_example = any(set(chosen) <= set(shown) for _words, _asked, shown in (*_ASKED_ENGLISH, *_ASKED_CHINESE))
    return (question, chosen) if len(chosen) >= Clarification.FEWEST and not is_example else None


def _line(value: Any, longest: int) -> str:
    """One line of text without what turns, hides or breaks it; empty when it is too long: half an answer is another."""
    characters = value if isinstance(value, str) else ""
    line = " ".join("".join(map(_harmless, characters)).split())
    return line if len(line) <= longest else ""


def _harmless(character: str) -> str:
    kind = unicodedata.category(character)
    if kind in ("Cc", "Zl", "Zp"):
        return " "
    return "" if kind.startswith("C") and character not in _JOINERS else character


def answer_id(reply_id: uuid.UUID) -> uuid.UUID:
    """The client id of a tapped answer: of two taps, in two windows even, the second is the first."""
    return uuid.uuid5(reply_id, "answer")


def just_answer_id(reply_id: uuid.UUID) -> uuid.UUID:
    """The client id of the reply that answers without having asked."""
    return uuid.uuid5(reply_id, "just answer")
