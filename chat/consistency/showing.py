"""A check as its page shows it: the answers, the summary, and what they state lined up with marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from chat.consistency import rewording
from chat.models import ConsistencyCheck, Message, Reply, Wording

KINDS: dict[str, str | Promise] = {
    "figures": gettext_lazy("The figures differ"),
    "names": gettext_lazy("The names differ"),
    "negation": gettext_lazy("One says that it is not so"),
    "stance": gettext_lazy("One says yes, another no"),
}


@dataclass(frozen=True)
class Answer:
    """One of the answers side by side. The original reply is the first; `number` is what people see."""

    number: int
    question: str
    made: str
    message: Message
    reply: Reply


@dataclass(frozen=True)
class Cell:
    """What one answer states of a matter, in pieces of (text, whether it differs); none when it says nothing of it."""

    number: int
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Line:
    """One matter: `state` is contradiction, agreement or alone."""

    number: int
    state: str
    verdict: str
    cells: list[Cell]


@dataclass(frozen=True)
class Summary:
    """In words: how many agree, and the lines that contradict each other."""

    text: str
    is_unanimous: bool
    clashes: list[Line]
    percent: int


def answers(check: ConsistencyCheck) -> list[Answer]:
    """The reply that is checked, then one for each wording, finished or not."""
    original = Message.objects.select_related("reply", "parent").get(pk=check.reply_id)
    question = original.parent.content if original.parent else ""
    shown = [Answer(1, question, _("your question"), original, original.reply)]
    for wording in check.wordings.select_related("answer__reply").order_by("position"):
        if wording.answer:
            answer = wording.answer
            shown.append(Answer(wording.position + 1, wording.text, maker_text(wording), answer, answer.reply))
    return shown


def maker_text(wording: Wording) -> str:
    """Who put it so, and by which rule."""
    made: str = wording.get_maker_display()
    return f"{made}{_colon()}{rewording.RULES[wording.rule]}" if wording.rule in rewording.RULES else made


def _colon() -> str:
    return pgettext("before what follows", ": ")


def lines(check: ConsistencyCheck) -> list[Line]:
    """What the answers state, matter by matter; empty before they are compared."""
    numbers = [place + 1 for place in check.alignment.get("places", [])]
    return [_line(number, row, numbers) for number, row in enumerate(check.alignment.get("rows", []), start=1)]


def _line(number: int, row: dict[str, Any], numbers: list[int]) -> Line:
    cells = [
        Cell(answer, tuple(_pieces(text, marks)) if text is not None else ())
        for answer, text, marks in zip(numbers, row["cells"], row["marks"], strict=True)
    ]
    said_by = [cell.number for cell in cells if cell.pieces]
    if row["kinds"]:
        values = [" … ".join(text for text, is_marked in cell.pieces if is_marked) for cell in cells]
        texts = " / ".join(dict.fromkeys(value for value in values if value))
        verdict = ", ".join(str(KINDS[kind]) for kind in row["kinds"]) + f"{_colon()}{texts}"
        return Line(number, "contradiction", verdict, cells)
    if len(said_by) == 1:
        return Line(number, "alone", _("Only answer %(number)s") % {"number": said_by[0]}, cells)
    if len(said_by) == len(cells):
        return Line(number, "agreement", _("All %(count)s say so") % {"count": len(cells)}, cells)
    verdict = _("%(some)s of %(count)s say so") % {"some": len(said_by), "count": len(cells)}
    return Line(number, "agreement", verdict, cells)


def _pieces(text: str, marks: list[list[int]]) -> list[tuple[str, bool]]:
    pieces, position = [], 0
    for start, end in marks:
        if start < position:
            continue
        pieces += [(text[position:start], False), (text[start:end], True)]
        position = end
    return [(piece, is_marked) for piece, is_marked in [*pieces, (text[position:], False)] if piece]


def summary(check: ConsistencyCheck, shown: list[Line]) -> Summary | None:
    """None when there was nothing to compare."""
    if check.agreement is None or check.agreeing is None or check.compared is None:
        return None
    clashes = [line for line in shown if line.state == "contradiction"]
    return Summary(short(check), check.agreeing == check.compared, clashes, round(check.agreement * 100))


def short(check: ConsistencyCheck) -> str:
    """`3 of 4 agree`."""
    if not check.is_measured:
        return _("Asked again in other words")
    if check.agreeing is None or check.compared is None:
        return _("Nothing to compare")
    if check.agreeing < 2:
        return _("No two of %(count)s answers agree") % {"count": check.compared}
    return _("%(some)s of %(count)s agree") % {"some": check.agreeing, "count": check.compared}
