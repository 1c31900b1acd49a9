"""A question in other words: by rule, in English and Chinese, and what any other wording of it must keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from chat.consistency import facts
from chat.consistency.words import is_chinese

# Longer questions are only framed: a rule that changes words somewhere in them would miss what they are about.
LONGEST_TO_CHANGE = 300
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_QUOTED = re.compile(r"“[^”]{1,400}”|「[^」]{1,400}」|『[^』]{1,400}』|《[^》]{1,400}》|(?<!\w)\"[^\"]{1,400}\"(?!\w)")
_ADDRESS = re.compile(r"https?://\S+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.[\w.]{1,190}")

RULES: dict[str, str | Promise] = {
    "words": _("other words for some of it"),
    "indirect": _("put as a request"),
    "framed": _("with a lead-in"),
    "after": _("with the wish behind it"),
}


@dataclass(frozen=True)
class Reworded:
    """A wording and the rule that made it, one of `RULES`."""

    text: str
    rule: str


def by_rule(question: str) -> list[Reworded]:
    """Wordings that keep everything, each by another rule, the one that changes most first. Never empty."""
    made = _chinese(question) if is_chinese(question) else _english(question)
    seen, kept = {normal(question)}, []
    for text, rule in made:
        if normal(text) not in seen and not missing(question, text):
            seen.add(normal(text))
            kept.append(Reworded(text, rule))
    return kept


def normal(text: str) -> str:
    """What makes two wordings the same: letters and digits alone."""
    return "".join(re.findall(r"\w", text)).casefold()


def missing(question: str, wording: str) -> list[str]:
    """What of the question a wording leaves out: figures, quotations, code, addresses and names, as they stand."""
    absent = [part for part in _literals(question) if _bare(part) not in wording]
    kept = {(figure.value, figure.unit) for figure in facts.figures(wording)}
    absent += [
        question[slice(*figure.span)].strip()
        for figure in facts.figures(_without_literals(question))
        if (figure.value, figure.unit) not in kept
    ]
    has = wording.casefold()
    absent += sorted(name for name in facts.names(_without_literals(question)) if name.casefold() not in has)
    return absent


def _literals(text: str) -> list[str]:
    return [match[0] for pattern in (_CODE, _QUOTED, _ADDRESS) for match in pattern.finditer(text)]


def _without_literals(text: str) -> str:
    """The text with each of them blanked, so that everything else stays in its place."""
    for pattern in (_CODE, _QUOTED, _ADDRESS):
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    return text


def _bare(part: str) -> str:
    """Quotation marks may be others in another wording; what they hold may not."""
    return part.strip('“”「」『』《》"`\n ')


_SYNONYMS = [
    (r"what['’]s", "what is"), (r"what is", "what's"), (r"don['’]t", "do not"), (r"do not", "don't"),
    (r"can['’]t", "cannot"), (r"why is it that", "how come"), (r"how do i", "what is the way to"),
    (r"how can i", "in what way can I"), (r"explain(?! to\b)", "give an explanation of"),
    (r"^describe", "give a description of"), (r"^list", "name"), (r"^write", "compose"),
    (r"^tell me about", "describe"), (r"begin", "start"), (r"biggest", "largest"), (r"big", "large"),
    (r"buy", "purchase"), (r"kids", "children"), (r"main", "chief"), (r"quickly", "fast"),
    (r"show me", "let me see"), (r"difference between", "distinction between"), (r"how many", "what number of"),
    (r"located", "found"), (r"summari[sz]e", "sum up"), (r"give me", "provide me with"),
    (r"important", "significant"),
]  # fmt: skip
_SYNONYMS_ZH = [
    ("为什么", "为何"), ("为何", "为什么"), ("怎么样", "如何"), ("怎么", "如何"), ("怎样", "如何"),
    ("如何", "怎样"), ("什么地方", "哪里"), ("哪里", "什么地方"), ("解释", "说明"), ("介绍", "讲讲"),
    ("列出", "列举"), ("区别", "不同之处"), ("什么时候", "何时"), ("何时", "什么时候"), ("帮我", "请替我"),
    ("是谁", "是什么人"), ("告诉我", "说说"), ("写一", "撰写一"),
]  # fmt: skip
# Only what inverts its verb and has nothing after the subject can be turned round safely.
_INVERTED = re.compile(
    r"(?P<ask>what|who|where|when|why|how (?:tall|old|big|far|long|high|deep|heavy|fast|large))"
    r"(?P<is>['’]s| is| are| was| were) (?P<subject>[^?.!,;]{2,80})\?",
    re.IGNORECASE,
)
_PARTICIPLE = re.compile(r"\b(?:\w+(?:ed|ing)|born|built|made|found|known|called|written|sold|used|not)\b", re.I)


def _english(question: str) -> Iterator[tuple[str, str]]:
    text = question.strip()
    if len(text) <= LONGEST_TO_CHANGE and "\n" not in text:
        yield _with_synonyms(text, _SYNONYMS, lambda old: rf"\b{old}\b"), "words"
        if (match := _INVERTED.fullmatch(text)) and not _PARTICIPLE.search(match["subject"]):
            verb = "is" if match["is"] in ("'s", "’s") else match["is"].strip()
            yield f"Please tell me {match['ask'].lower()} {match['subject']} {verb}.", "indirect"
    yield f"I would like to know the following. {text}", "framed"
    yield f"{text}\n\nPlease give me your answer to this.", "after"
    yield f"Here is something I want an answer to:\n\n{text}", "framed"


def _chinese(question: str) -> Iterator[tuple[str, str]]:
    text = question.strip()
    if len(text) <= LONGEST_TO_CHANGE and "\n" not in text:
        yield _with_synonyms(text, _SYNONYMS_ZH, lambda old: old), "words"
        if text.endswith(("？", "?")) and not text.startswith("请"):
            yield f"请告诉我：{text}", "indirect"
    yield f"我想了解下面这个问题。{text}", "framed"
    yield f"{text}\n\n请给出你的回答。", "after"
    yield f"有一件事想请教：\n\n{text}", "framed"


def _with_synonyms(text: str, synonyms: list[tuple[str, str]], pattern_of: Callable[[str], str]) -> str:
    """Other words for the first of them that stands in the text, and not in code, a quotation or an address."""
    free = _without_literals(text)
    for old, new in synonyms:
        if match := re.search(pattern_of(old), free, re.IGNORECASE):
            put = new[0].upper() + new[1:] if match[0][0].isupper() else new
            return text[: match.start()] + put + text[match.end() :]
    return text
