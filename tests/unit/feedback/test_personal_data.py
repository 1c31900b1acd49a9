"""Personal data planted in English and Chinese is found, and ordinary numbers are left alone."""

from collections import Counter

import pytest

from feedback.release.gates.personal_data import findings, masked
from tests.unit.feedback.personal import corpus


def test_planted_data_is_found_and_clean_text_passes():
    planted, found, wrong = Counter(), Counter(), []
    for message in corpus():
        hits = findings(message.text)
        if not message.kind:
            wrong += [(message.text, message.text[one.start : one.end]) for one in hits]
            continue
        planted[message.kind] += 1
        begin = message.text.index(message.words)
        covered = [one for one in hits if one.start <= begin and one.end >= begin + len(message.words.strip("()"))]
        found[message.kind] += bool(covered) or any(
            one.end - one.start >= len(message.words) - 2 and one.kind == message.kind for one in hits
        )
    recall, precision = found.total() / planted.total(), found.total() / (found.total() + len(wrong))
    by_kind = {kind: f"{found[kind]}/{planted[kind]}" for kind in planted}
    said = f"personal data: recall {recall:.4f}, precision {precision:.4f}, {by_kind}, {wrong[:5]}"
    assert recall >= 0.98, said
    assert precision >= 0.98, said


@pytest.mark.parametrize(
    "text",
    [
        "Call 4111 1111 1111 1112 is no card: its last digit is wrong.",
        "身份证号 110101199003070000 的校验位不对。",
        "The sum of 1234567 and 7654321 is 8888888.",
        "On 2024-05-17 at 10:30:00, 1.234.567 people watched.",
        "My password is long, and the key is under the mat.",
        "def f(x): return x @ y",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text):
    assert [
        text[one.start : one.end] for one in findings(text) if one.kind in ("card", "id_number", "key", "email")
    ] == []


@pytest.mark.parametrize(
    ("text", "masked_text"),
    [
        ("My card: 4111 1111 1111 1111.", "My card: [CARD_1]."),
        ("卡号5555555555554444，谢谢", "卡号[CARD_1]，谢谢"),
        ("My SSN: 123456789", "My SSN: [ID_NUMBER_1]"),
        ("US passport no. 123456789", "US passport no. [ID_NUMBER_1]"),
        ("My number is 4155552671.", "My number is [PHONE_1]."),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "aws_secret_access_key = [KEY_1]"),
        ("client_secret: 8f3b2c91d7", "client_secret: [KEY_1]"),
    ],
)
def test_what_is_said_to_be_personal_is_found_however_plain_it_looks(text, masked_text):
    assert masked([text]) == [masked_text]


def test_the_same_thing_has_the_same_placeholder_in_a_whole_conversation():
    texts = ["Write to ann@example.org or bob@example.org.", "I wrote to bob@example.org; 电话13812345678。"]
    assert masked(texts) == ["Write to [EMAIL_1] or [EMAIL_2].", "I wrote to [EMAIL_2]; 电话[PHONE_1]。"]


def test_a_private_key_goes_whole():
    text = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAK\n-----END RSA PRIVATE KEY-----"
    assert masked([f"Mine:\n{text}\nDone."]) == ["Mine:\n[KEY_1]\nDone."]


@pytest.mark.parametrize(
    "key",
    [
        *(f"{begin}{'a1B2' * 9}" for begin in ("sk-", "sk-proj-", "sk_live_", "rk_test_", "whsec_", "parley_")),
        *(f"{begin}{'a1B2' * 9}" for begin in ("ghp_", "gho_", "github_pat_", "glpat-", "hf_", "npm_", "xoxb-")),
        *(
            f"LTAI{'a1B2' * 6}",
            f"AKIA{'A1' * 8}",
            f"ASIA{'A1' * 8}",
            f"AKID{'a1B2' * 8}",
            f"AIza{'a1B2' * 8}xyz",
            f"pypi-{'a1B2' * 14}",
        ),
        *(f"SG.{'a1' * 10}.{'b2' * 10}", f"eyJ{'a1' * 10}.eyJ{'b2' * 10}.{'c3' * 10}"),
    ],
)
def test_every_kind_of_key_is_found_in_an_ordinary_sentence(key):
    assert masked([f"Take {key} for it."])[0].startswith("Take [KEY_1]")
