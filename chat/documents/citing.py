"""Which sentences of a reply a passage supports, measured, and the numbers in its text as links to the passages."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from chat.documents import meaning
from chat.inference import ModelUnavailable
from chat.models import Citation, Passage
from chat.rendering import render

# Cosine of all-MiniLM-L6-v2 between a sentence of the reply and one of the passage.
LEAST_SIMILARITY = 0.7
# Without vectors: share of a sentence's words that the passage has.
LEAST_OVERLAP = 0.7
MOST_SENTENCES = 60
SHORTEST_SENTENCE = 12
_SENTENCE = re.compile(r".+?(?:[.!?](?=\s|$)|[。！？]|$)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[^\W_]{3,}|[\u3400-\u9fff]")
_WRITTEN = re.compile(r"\[(\d{1,2})\](?!\()")
_NO_PROSE = re.compile(r"\s*(#|\||```|~~~|\$\$)")
_TAG = re.compile(r"(<[^>]+>)")
_SILENT_TAGS = ("a", "code", "pre", "math")


@dataclass(frozen=True)
class Sentence:
    """A sentence of a reply's prose, and where in the reply's text it ends."""

    text: str
    end: int


def mark(*, reply_id: uuid.UUID, text: str) -> None:
    """Remember for each passage of the reply's prompt which sentences of the reply it supports."""
    citations = list(Citation.objects.filter(reply=reply_id).select_related("passage").order_by("number"))
    if not citations or not text:
        return
    said = [sentence for sentence in sentences_of(text) if not _WRITTEN.search(sentence.text)][:MOST_SENTENCES]
    similarities = _similarities([sentence.text for sentence in said], [one.passage for one in citations])
    for citation in citations:
        citation.marks = []
    for sentence, row in zip(said, similarities, strict=True):
        fitting = [
            (similarity, index)
            for index, similarity in enumerate(row)
            if has_its_numbers(sentence.text, citations[index].passage)
        ]
        similarity, index = max(fitting, default=(0.0, 0))
        if similarity > 0:
            citations[index].marks.append([sentence.end, round(similarity, 3)])
    Citation.objects.bulk_update(citations, ["marks"])


def sentences_of(text: str) -> list[Sentence]:
    """The sentences of prose: none from code, tables, headings or formulas."""
    found, offset, is_code = list[Sentence](), 0, False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith(("```", "~~~")):
            is_code = not is_code
        elif not is_code and not _NO_PROSE.match(line):
            for match in _SENTENCE.finditer(line.rstrip()):
                if len(match[0].strip()) >= SHORTEST_SENTENCE:
                    found.append(Sentence(match[0].strip(), offset + match.end()))
        offset += len(line)
    return found


def has_its_numbers(sentence: str, passage: Passage) -> bool:
    """Whether the passage has every number of the sentence: to an embedding 740 grams are as good as 850."""
    known = set(_NUMBER.findall(f"{passage.heading} {passage.content}"))
    return set(_NUMBER.findall(_WRITTEN.sub("", sentence))) <= known


def _similarities(said: Sequence[str], passages: Sequence[Passage]) -> list[list[float]]:
    """For each sentence the similarity to each passage, 0 where it is too low to count."""
    if not said:
        return []
    pieces = [_pieces(passage) for passage in passages]
    flat = [piece for group in pieces for piece in group]
    try:
        vectors = np.array(meaning.vectors([*said, *flat], seconds=meaning.QUESTION_SECONDS))
    except ModelUnavailable:
        return [[_overlap(text, passage) for passage in passages] for text in said]
    products = vectors[: len(said)] @ vectors[len(said) :].T
    rows, start = np.zeros((len(said), len(passages))), 0
    for index, group in enumerate(pieces):
        rows[:, index] = products[:, start : start + len(group)].max(axis=1)
        start += len(group)
    kept: list[list[float]] = np.where(rows >= LEAST_SIMILARITY, rows, 0.0).tolist()
    return kept


def _pieces(passage: Passage) -> list[str]:
    """The sentences of a passage, and all of it."""
    return [passage.content, *(sentence.text for sentence in sentences_of(passage.content))][:20]


def _overlap(sentence: str, passage: Passage) -> float:
    words = set(_WORD.findall(sentence.lower()))
    share = len(words & set(_WORD.findall(passage.content.lower()))) / len(words) if words else 0.0
    return share if share >= LEAST_OVERLAP else 0.0


def address_of(citation: Citation) -> str:
    """The page of the document, opened at the passage."""
    position = citation.passage.position
    return f"{reverse('document', args=[citation.passage.document_id])}?at={position}#p-{position}"


def render_cited(text: str, citations: Sequence[Citation], *, label: str) -> SafeString:
    """Safe HTML of a reply where [n] is a link to the passage; `label` names it: "Source %s".

    A number that was in no prompt stays text.
    """
    ends = sorted(((end, one.number) for one in citations for end, _similarity in one.marks), reverse=True)
    for end, number in ends:
        if end <= len(text) and text[end : end + 1] != "(":
            text = f"{text[:end]} \\[{number}\\]{text[end:]}"
    known = {one.number: address_of(one) for one in citations}
    return mark_safe("".join(_linked(render(text), known, label)))  # noqa: S308 - the renderer's own safe HTML


def _linked(html: str, known: dict[int, str], label: str) -> list[str]:
    def link(match: re.Match[str]) -> str:
        number = int(match[1])
        if number not in known:
            return match[0]
        title = escape(label % number)
        return f'<a class="citation" href="{escape(known[number])}" title="{title}" aria-label="{title}">[{number}]</a>'

    parts, silent = list[str](), 0
    for part in _TAG.split(html):
        if part.startswith("<"):
            name = part.strip("</>").split(" ", 1)[0]
            silent += (name in _SILENT_TAGS) * (-1 if part.startswith("</") else 1)
            parts.append(part)
        else:
            parts.append(part if silent else _WRITTEN.sub(link, part))
    return parts
