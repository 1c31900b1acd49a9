"""What all of these modules know of words: the commonest of English, and when a text is Chinese."""

from __future__ import annotations

import re

CJK = re.compile(r"[\u3400-\u9fff]")
# They say little of what a statement is about, and begin with a capital letter only where a sentence begins.
COMMON = frozenset({
    "a", "an", "the", "of", "to", "in", "on", "at", "by", "for", "from", "with", "and", "or", "but", "as", "is",
    "are", "was", "were", "be", "been", "it", "its", "this", "that", "these", "those", "which", "who", "has",
    "have", "had", "do", "does", "did", "can", "could", "will", "would", "should", "may", "might", "there", "their",
    "they", "he", "she", "his", "her", "you", "your", "we", "our", "i", "my", "me", "so", "than", "then", "also",
    "very", "about", "into", "over", "such", "more", "most", "some", "any", "all", "one", "if", "not", "no", "yes",
})  # fmt: skip


def is_chinese(text: str) -> bool:
    return len(CJK.findall(text)) * 3 > len(re.findall(r"[A-Za-z]", text))
