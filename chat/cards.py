"""The picture that other sites show beside a link to a shared conversation: its title on a card, 1200 by 630 pixels."""

from __future__ import annotations

import io
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles import finders
from PIL import Image, ImageDraw, ImageFont

SIZE = (1200, 630)
MARGIN = 88
TITLE_SIZE, SMALL_SIZE, LEADING = 72, 36, 1.18
MOST_LINES = 4
# The tokens of the light theme (config/static/config/css/tokens.css).
CANVAS, ACCENT, TEXT, MUTED = "#fbfaf8", "#14665a", "#1f1e1b", "#625f58"
# What the font that comes with Pillow can write: Latin letters and common punctuation.
_LAST_LETTER = 0x024F
_PUNCTUATION = frozenset("‘’“”–—…•€")


def can_write(title: str) -> bool:
    """Whether the font has every letter of the card; else the site's own picture serves better."""
    letters = title + settings.SITE_NAME
    return bool(title) and all(ord(letter) <= _LAST_LETTER or letter in _PUNCTUATION for letter in letters)


@lru_cache(maxsize=256)
def png(title: str) -> bytes:
    """The card as a PNG file, with the site's name and address."""
    card = Image.new("RGB", SIZE, CANVAS)
    draw = ImageDraw.Draw(card)
    draw.rectangle((0, 0, 20, SIZE[1]), fill=ACCENT)
    mark = Image.open(str(finders.find("config/icon-180.png"))).convert("RGBA").resize((72, 72))
    card.paste(mark, (MARGIN, MARGIN - 16), mark)
    draw.text((MARGIN + 92, MARGIN + 20), settings.SITE_NAME, font=_font(SMALL_SIZE + 8), fill=TEXT, anchor="lm")
    font = _font(TITLE_SIZE)
    for number, line in enumerate(_lines(title, font)):
        draw.text((MARGIN, 224 + number * TITLE_SIZE * LEADING), line, font=font, fill=TEXT)
    draw.text((MARGIN, SIZE[1] - MARGIN), urlsplit(settings.SITE_URL).netloc, font=_font(SMALL_SIZE), fill=MUTED)
    file = io.BytesIO()
    card.save(file, "PNG", optimize=True)
    return file.getvalue()


def _lines(title: str, font: ImageFont.FreeTypeFont) -> list[str]:
    """The title broken between words, and within words that are too long for a line; cut with an ellipsis."""
    room = SIZE[0] - 2 * MARGIN
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
            continue
        lines += [word] if lines[-1] else []
        lines[-1] = word
        while font.getlength(lines[-1]) > room:
            fits = next(length for length in range(len(lines[-1]), 0, -1) if font.getlength(lines[-1][:length]) <= room)
            lines[-1:] = [lines[-1][:fits], lines[-1][fits:]]
    if len(lines) > MOST_LINES:
        lines = lines[:MOST_LINES]
        lines[-1] = lines[-1][:-1].rstrip() + "…"
    return lines


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 - what Pillow gives for a size
    return font
