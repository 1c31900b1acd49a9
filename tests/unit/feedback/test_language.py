"""Which writing a text is in, as the language gate of a release sees it."""

import pytest

from feedback.release.gates.language import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The sky is blue.", "en"),
        ("Où est la gare?", "en"),  # Latin letters, whatever the language
        ("天空是蓝色的。", "zh"),
        ("用 Python 写一个排序函数,要快。", "zh"),
        ("In Chinese, blue is written 蓝, and sky is written 天.", "en"),
        ("空は青いです。", "ja"),
        ("하늘은 파랗다.", "ko"),
        ("Небо синее.", "ru"),
        ("السماء زرقاء", "ar"),
        ("def add(a, b):\n    return a + b\n", "en"),
        ("# 两数之和\ndef add(a, b):\n    return a + b\n", "en"),
        ("{1: [2, 3]} != (4 + 5) * 6", "und"),
        ("🙂🙂", "und"),
        (" \n", "und"),
        ("", "und"),
    ],
)
def test_the_writing_that_most_of_a_text_is_in_is_told(text, language):
    assert language_of(text) == language
