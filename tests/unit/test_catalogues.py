"""The translations: whole, and with every placeholder where the original has it."""

import re

import polib
import pytest
from django.conf import settings

CATALOGUES = sorted(settings.LOCALE_PATHS[0].glob("*/LC_MESSAGES/*.po"))
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w+\}")


def translations(entry):
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def test_there_is_a_chinese_catalogue():
    assert "zh_Hans" in {path.parts[-3] for path in CATALOGUES}


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_every_message_is_translated_with_its_placeholders(path):
    for entry in polib.pofile(str(path)):
        for text in translations(entry):
            assert text, f"not translated: {entry.msgid}"
            assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid)), text
