"""Where the words that a person quotes stand in a reply: what they saw is the page, what is kept is Markdown.

The words are found in the text as it is shown. Which characters of the source they are is then guessed, and the guess
is tested by the renderer itself: with other words there the page must read the same before and after them. What fails
the test has no place, so nothing is ever put where nobody pointed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

from django.utils.html import strip_tags

from chat.rendering import render

# What Markdown may have between two characters that stand side by side on the page.
_MARKUP = re.compile(r"\]\([^)\s]*\)|[*_~`\\\[\]#>|!-]")
_SPACE = re.compile(r"\s+")
# What opens and closes around words: without its other half it would be left standing.
_OPENING, _CLOSING = re.compile(r"[*_~`\[!]*\Z"), re.compile(r"(?:\]\([^)\s]*\)|[*_~`])*")
# Private characters, which the renderer takes for letters. One stands in for the words, each other marks a guess.
_STAND_IN, _FIRST_MARK, _MOST_MARKS = "\ue000", 0xF0000, 60_000
# A text that repeats itself over and over could be read from everywhere for a long time.
_BEGINNING, _MOST_READ = 16, 2_000_000


@dataclass(frozen=True)
class Place:
    """Characters of a reply's source, from `start` up to `end`."""

    start: int
    end: int


def shown(content: str) -> str:
    """The text of a reply as its page has it, without Markdown."""
    return unescape(strip_tags(render(content)))


def place_of(content: str, quote: str, occurrence: int | None) -> Place | None:
    """Where the quoted words stand, by `occurrence` (from 1) where they stand more than once as shown.

    None where that cannot be told for certain. Words that stand nowhere as they are shown are looked for in the source.
    """
    text = shown(content)
    if found := _matches(text, quote):
        which = _chosen(found, occurrence)
        return None if which is None else _in_source(content, text, quote, found, which)
    written = _matches(content, quote)
    which = _chosen(written, occurrence)
    return None if which is None else written[which]


def _chosen(found: list[Place], occurrence: int | None) -> int | None:
    if len(found) == 1:
        return 0
    return occurrence - 1 if occurrence and occurrence <= len(found) else None


def _matches(text: str, quote: str) -> list[Place]:
    """Every place of the words, also overlapping ones; white space between them may be any, or none."""
    words = r"\s*".join(map(re.escape, quote.split()))
    return [Place(*match.span(1)) for match in re.finditer(f"(?=({words}))", text)]


def _in_source(content: str, text: str, quote: str, found: list[Place], which: int) -> Place | None:
    """The place in the source of the words at `found[which]` of the shown text."""
    quote = " ".join(quote.split())
    guesses = _guesses(content, quote)
    guess = guesses[which] if len(guesses) == len(found) else _marked(content, text, guesses, found[which].start)
    if guess is None:
        return None
    before, after = _OPENING.search(content, 0, guess.start), _CLOSING.match(content, guess.end)
    start = before.start() if before else guess.start
    end = after.end() if after else guess.end
    wider = [guess, Place(guess.start, end), Place(start, guess.end), Place(start, end)]
    return next((place for place in wider if _is_there(content, text, quote, place, found[which])), None)


def _guesses(content: str, quote: str) -> list[Place]:
    beginning = quote[:_BEGINNING].rstrip()
    starts = [start for start in range(len(content)) if _read(content, start, beginning)]
    if len(starts) * len(quote) > _MOST_READ:
        return []
    return [guess for start in starts if (guess := _read(content, start, quote))]


def _read(content: str, start: int, quote: str) -> Place | None:
    """The characters from `start` that read as the quote, if they do, passing over Markdown in between."""
    if content[start] != quote[0]:
        return None
    at = start
    for index, character in enumerate(quote):
        if character == " ":
            while (gap := _SPACE.match(content, at)) or content[at : at + 1] != quote[index + 1]:
                if not (gap := gap or _MARKUP.match(content, at)):
                    return None
                at = gap.end()
            continue
        while content[at : at + 1] != character:
            if not (markup := _MARKUP.match(content, at)):
                return None
            at = markup.end()
        at += 1
    return Place(start, at)


def _marked(content: str, text: str, guesses: list[Place], wanted: int) -> Place | None:
    """The guess that stands at `wanted` of the shown text: each is marked, and the marks are looked up on the page."""
    guesses = guesses[:_MOST_MARKS]
    pieces, end = [], 0
    for number, guess in enumerate(guesses):
        pieces += [content[end : guess.start], chr(_FIRST_MARK + number)]
        end = guess.start
    plain = 0
    for character in shown("".join([*pieces, content[end:]])):
        if 0 <= (number := ord(character) - _FIRST_MARK) < len(guesses):
            if plain == wanted:
                return guesses[number]
        elif text[plain : plain + 1] == character:
            plain += 1
        else:
            return None  # a mark has changed how the page reads
    return None


def _is_there(content: str, text: str, quote: str, place: Place, seen: Place) -> bool:
    """Whether other words at this place of the source come where the quoted ones are `seen` and change nothing else."""
    other = quote[0] + _STAND_IN + quote[-1]  # emphasis opens and closes by the kind of character beside it
    page = shown(content[: place.start] + other + content[place.end :])
    return _squeezed(page) == _squeezed(text[: seen.start] + other + text[seen.end :])


def _squeezed(text: str) -> str:
    return "".join(text.split())
