"""What must be the same to the letter: figures, dates, names, negation, and yes or no.

Found by rule, in English and Chinese. A figure keeps the unit that stands beside it, so that metres are not held
against feet; a date is whole, or a year, or a year with its month.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from chat.consistency.words import COMMON

Span = tuple[int, int]

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH = r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"  # noqa: E501
_DATES = [
    re.compile(r"(?<![\d-])(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?![\d-])"),
    re.compile(r"(?P<year>\d{4})\s*年(?:\s*(?P<month>\d{1,2})\s*月(?:\s*(?P<day>\d{1,2})\s*[日号])?)?"),
    re.compile(rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:,?\s+(?P<year>\d{{4}}))?\b"),
    re.compile(rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<year>\d{{4}}))?\b(?!\d)"),
    re.compile(rf"\b{_MONTH}\s+(?P<year>\d{{4}})\b"),
]
# A bare year is a number as well: it is compared with dates.
_YEAR = re.compile(r"\b(1\d{3}|20\d{2})\b")

_NUMBER = re.compile(r"(?<![A-Za-z\d.])[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_WORDS = {
    "zero": 0, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_ONES = {"one": 1} | {word: value for word, value in _WORDS.items() if 0 < value < 10}
# "one" alone is a pronoun more often than a number.
_NUMBER_WORD = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<ones>{'|'.join(_ONES)}))?|(?P<word>{'|'.join(_WORDS)}))\b", re.I
)
_SCALE = re.compile(r"\s*(hundred|thousand|million|billion|trillion|百|千|万|亿)(?![a-z])", re.I)
_SCALES = {
    "hundred": 100, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "百": 100, "千": 1e3, "万": 1e4,
    "亿": 1e8,
}  # fmt: skip
_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_PLACES = {"十": 10, "百": 100, "千": 1000}
_MEASURES = "个年月日天岁周次只条张本米克吨斤元块人名位倍座层度分秒种届集部公千毫厘"
_CHINESE = re.compile(
    rf"[零〇一二两三四五六七八九十百千万亿]{{2,}}|(?<!第)[二两三四五六七八九十](?=[{_MEASURES}])"
    r"|百分之[零〇一二三四五六七八九十百]+"
)
_UNITS = {
    "percent": "%", "per cent": "%", "%": "%", "％": "%", "kilometre": "km", "kilometer": "km", "km": "km",
    "公里": "km", "千米": "km", "metre": "m", "meter": "m", "m": "m", "米": "m", "centimetre": "cm",
    "centimeter": "cm", "cm": "cm", "厘米": "cm", "foot": "ft", "feet": "ft", "ft": "ft", "英尺": "ft",
    "mile": "mi", "英里": "mi", "inch": "in", "inches": "in", "kilogram": "kg", "kg": "kg", "公斤": "kg",
    "千克": "kg", "gram": "g", "g": "g", "克": "g", "pound": "lb", "lb": "lb", "tonne": "t", "ton": "t", "吨": "t",
    "second": "s", "秒": "s", "minute": "min", "分钟": "min", "hour": "h", "小时": "h", "day": "d", "天": "d",
    "week": "week", "周": "week", "month": "month", "个月": "month", "year": "year", "年": "year", "岁": "year",
    "litre": "l", "liter": "l", "升": "l", "dollar": "$", "美元": "$", "euro": "€", "欧元": "€", "元": "¥",
    "yuan": "¥", "°c": "°C", "celsius": "°C", "摄氏度": "°C", "°f": "°F", "fahrenheit": "°F",
}  # fmt: skip
_UNIT = re.compile(
    r"[\s-]*(" + "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True)) + r")(?:s|es)?(?![a-zA-Z])", re.I
)
_CURRENCY = {"$": "$", "€": "€", "£": "£", "¥": "¥", "￥": "¥"}
_CODE = re.compile(r"`+[^`]*`+")

_NAME = re.compile(r"\b[A-Z][\w'’-]*[A-Za-z\d]\b|\b[A-Z]{2,}\b")
# Words that begin with a capital letter for another reason.
_NO_NAMES = COMMON | frozenset(_MONTHS) | {
    "i'm", "i'll", "i'd", "i've", "must", "here", "what", "when", "where", "why", "how", "while", "after", "before",
    "because", "however", "many", "each", "every", "both", "first", "second", "third", "monday", "tuesday",
    "wednesday", "thursday", "friday", "saturday", "sunday",
}  # fmt: skip
LOOKED_BACK = 40
"""Characters before a name in which a sentence may have begun: more than spaces and quotation marks ever take."""
_SENTENCE_START = re.compile(r"(?:^|[.!?:;]\s+|[\n\"“(]\s*)[\"“(*]*$")

NEGATION = re.compile(
    r"\b(?:not|never|no|none|nobody|nothing|neither|nor|cannot|without)\b|\w+n['’]t\b"
    r"|不(?!仅|但|只|过|同|断|久|少|论|管|得不|是吗)|没有?|无(?!论)|并非|(?<!除)非(?!常|洲)|未(?!来)"
    r"|勿|莫(?!非)|别(?=再|去|说|把)",
    re.I,
)
# Two of them say yes, or the word does not deny what is said.
_NO_NEGATION = re.compile(r"\bno (?:doubt|matter|longer than)\b|\bnot only\b|不得不|不能不|无不|没有不", re.I)
_FIRST_NO = re.compile(r"^\W*(?:no|nope)\b|^\W*(?:不|不是|没有?)(?=[，,。.])", re.I)
_YES = re.compile(
    r"\W*(?:yes|yeah|yep|correct|true|certainly|absolutely|of course|right)\b"
    r"|\W*(?:是的|没错|当然|(?:对的?|可以|能|会|有)[，,。！])",
    re.I,
)
_NO = re.compile(
    r"\W*(?:no|nope|false|incorrect|not (?:at all|really)|never)\b"
    r"|\W*(?:不是|不对|并不|(?:不|否|错|不可以|不能|不会|没有?)[，,。])",
    re.I,
)


@dataclass(frozen=True)
class Figure:
    """A number with its unit, or a date as `1969`, `1969-07` or `1969-07-20` (`unit` "date"), and where it stands."""

    value: str
    unit: str
    span: Span

    def is_same_as(self, other: Figure) -> bool:
        """Whether both can be meant at once: they are equal, or one says less, as a year does beside its day."""
        if self.unit == other.unit == "date":
            pairs = list(zip(self.value.split("-"), other.value.split("-"), strict=True))
            return all(one == there for one, there in pairs if one and there) and any(
                one and there for one, there in pairs
            )
        if "date" in (self.unit, other.unit):
            date, number = (self, other) if self.unit == "date" else (other, self)
            return date.value.split("-")[0] == number.value
        return self.value == other.value and (self.unit == other.unit or "" in (self.unit, other.unit))

    def is_held_against(self, other: Figure) -> bool:
        """Whether the two answer one question, so that they must be the same. Metres and feet, say, do not."""
        if "date" in (self.unit, other.unit):
            return all(figure.unit == "date" or _YEAR.fullmatch(figure.value) for figure in (self, other))
        return self.unit == other.unit or "" in (self.unit, other.unit)


def figures(text: str) -> list[Figure]:
    """Every number and date of a text, in its order."""
    found: list[Figure] = []
    taken: list[Span] = []

    def is_free(span: Span) -> bool:
        return all(span[1] <= start or span[0] >= end for start, end in taken)

    for pattern in _DATES:
        for match in pattern.finditer(text):
            if is_free(match.span()):
                taken.append(match.span())
                found.append(Figure(_date(match), "date", match.span()))
    for pattern, value_of in ((_CHINESE, _chinese), (_NUMBER, _plain), (_NUMBER_WORD, _word)):
        for match in pattern.finditer(text):
            if is_free(match.span()):
                taken.append(match.span())
                found.append(_figure(text, match.start(), match.end(), value_of(match)))
    return sorted(found, key=lambda figure: figure.span)


def _date(match: re.Match[str]) -> str:
    parts = match.groupdict()
    month = parts.get("month") or ""
    if month and not month.isdecimal():
        month = str(next(number for number, name in enumerate(_MONTHS, 1) if name.startswith(_key(month)[:3])))
    numbers = (parts.get("year") or "", month, parts.get("day") or "")
    return "-".join(f"{int(number):02}" if number else "" for number in numbers)


def _figure(text: str, start: int, end: int, value: float) -> Figure:
    if scale := _SCALE.match(text, end):
        value, end = value * _SCALES[_key(scale[1])], scale.end()
    unit = _CURRENCY.get(text[start - 1 : start], "")
    if found := _UNIT.match(text, end):
        unit, end = _UNITS[_key(found[1])], found.end()
    if text[start : start + 3] == "百分之":
        unit = "%"
    return Figure(f"{value:.10g}", unit, (start - (1 if text[start - 1 : start] in _CURRENCY else 0), end))


def _plain(match: re.Match[str]) -> float:
    return float(match[0].replace(",", "").replace("−", "-"))


def _word(match: re.Match[str]) -> float:
    if match["word"]:
        return _WORDS[_key(match["word"])]
    return _TENS[_key(match["tens"])] + (_ONES[_key(match["ones"])] if match["ones"] else 0)


def _key(word: str) -> str:
    """As it stands in a table. Patterns that ignore case take ſ for s and ı for i, which `lower` leaves as they are."""
    return word.lower().replace("ſ", "s").replace("ı", "i").replace("\u0307", "")


def _chinese(match: re.Match[str]) -> float:
    """`七百四十` as 740, `二十三万` as 230000, `一九六九` as 1969."""
    text = match[0].removeprefix("百分之")
    if all(character in _DIGITS for character in text):
        return float("".join(str(_DIGITS[character]) for character in text))
    total, section, digit = 0.0, 0.0, 0.0
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _PLACES:
            section, digit = section + (digit or 1) * _PLACES[character], 0
        else:
            total, section, digit = (total + section + digit or 1) * _SCALES[character], 0, 0
    return total + section + digit


def names(text: str) -> set[str]:
    """Words with a capital letter that does not come from beginning a sentence, and acronyms."""
    plain = _CODE.sub(" ", text)
    found = set()
    for match in _NAME.finditer(plain):
        word = match[0].removesuffix("'s").removesuffix("’s")
        begins = _SENTENCE_START.search(plain[max(0, match.start() - LOOKED_BACK) : match.start()]) is not None
        is_acronym = len(word) > 1 and word.isupper()
        if (not begins or is_acronym) and word.lower() not in _NO_NAMES:
            found.add(word)
    return found


def negations(text: str) -> int:
    """How many words deny what is said, but for a no that an answer begins with."""
    return len(NEGATION.findall(_NO_NEGATION.sub(" ", _FIRST_NO.sub("", text))))


def stance(text: str) -> bool | None:
    """Yes (True) or no (False), if an answer begins with it."""
    if _NO.match(text):
        return False
    return True if _YES.match(text) else None
