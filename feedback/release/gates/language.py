"""Which writing a text is in: enough to keep English and Chinese apart, and honest about what it cannot tell.

`zh` Chinese, `ja` Japanese (has kana), `ko` Korean, `ru` Cyrillic, `ar` Arabic, `en` Latin letters (whatever the
language), `und` none of these.
"""

from __future__ import annotations

import re

_WRITINGS = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "zh": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "en": re.compile(r"[A-Za-z\u00c0-\u024f]"),
}
# One character of these says about as much as a short word of Latin letters.
_WEIGHT = {"ja": 3, "zh": 3, "ko": 3, "ru": 1, "ar": 1, "en": 1}
KANA_SHARE = 0.1
UNKNOWN = "und"  # of ISO 639-2


def language_of(text: str) -> str:
    """The writing that most of the text is in."""
    sample = text[:4000]
    if sample.isascii():
        return "en" if any(map(str.isalpha, sample)) else UNKNOWN
    found = {name: _WEIGHT[name] * len(pattern.findall(sample)) for name, pattern in _WRITINGS.items()}
    # Japanese is written with Chinese characters as well; a tenth of kana gives it away.
    if found["ja"] > KANA_SHARE * (found["ja"] + found["zh"]):
        found["ja"] += found["zh"]
    best = max(found, key=lambda name: found[name])
    return best if found[best] else UNKNOWN
