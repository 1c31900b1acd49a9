"""Find personal data by its form: e-mail, telephone, identity and card numbers, bank accounts, keys and tokens.

Numbers that carry a check digit count only when it is right. English and Chinese ways of writing them, and digits in
full width, are known. Names and addresses have no form, and are not found here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

DETECTOR_VERSION = 4


@dataclass(frozen=True)
class Finding:
    """Where something personal stands in a text, and what it is."""

    kind: str
    start: int
    end: int


# Of an address the part before the @ and the part after it: looked for from the @ on, for it is rare.
_BEFORE_AT = re.compile(r"[\w.+\-]{1,64}$", re.ASCII)
_AFTER_AT = re.compile(r"@(?:[\w\-]{1,63}\.)+[A-Za-z]{2,24}", re.ASCII)
# Written against machines that collect addresses: name (at) example (dot) org.
_HIDDEN_EMAIL = re.compile(
    r"\b[\w.+\-]{1,64}\s*[\[(（【]\s*(?:at|@|艾特)\s*[\])）】]\s*[\w\-]+"
    r"(?:(?:\.|\s*[\[(（【]\s*(?:dot|点|\.)\s*[\])）】]\s*)[\w\-]+)+",
    re.IGNORECASE | re.ASCII,
)
_HIDDEN_AT = re.compile(r"[\[(（【]\s*(?:at|@|艾特)\s*[\])）】]", re.IGNORECASE)
_BRACKETS = "([（【"
# Runs of digits as people write numbers down; what each is, its digits decide.
_NUMBER = re.compile(r"(?<![\w.])[+(]{0,2}\d(?:[ \-().\u2010-\u2015/]{0,2}\d){6,22}(?:[ \-]?[Xx])?(?!\w)", re.ASCII)
_BETWEEN_DIGITS = dict.fromkeys(map(ord, "+ -()./\u2010\u2011\u2012\u2013\u2014\u2015"))
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", re.ASCII)
_PASSPORT = re.compile(r"(?:passport|护照)[^\n\d]{0,20}?([A-Z]{1,2}\d{7,8})\b", re.IGNORECASE | re.ASCII)
_US_SOCIAL = re.compile(r"(?<![\d\-])(?!000|666|9\d\d)\d{3}[- ](?!00)\d{2}[- ](?!0000)\d{4}(?![\d\-])", re.ASCII)
_UK_INSURANCE = re.compile(r"\b(?![DFIQUV])[A-Z](?![DFIQUVO])[A-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b", re.ASCII)
# What the three before have in common, which most numbers have not.
_LETTERS_FIRST = re.compile(r"[A-Za-z] ?\d\d", re.ASCII)
_KEYS = re.compile(
    r"""\bsk-(?:proj-|ant-|live-)?[A-Za-z0-9_\-]{20,}|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9]{16,}
    |\bparley_[A-Za-z0-9_\-]{20,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{22,}|\bglpat-[\w\-]{20,}
    |\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bLTAI[A-Za-z0-9]{12,30}\b|\bAKID[A-Za-z0-9]{32}\b|\bAIza[\w\-]{35}
    |\bxox[abposr]-[A-Za-z0-9\-]{10,}|\bhf_[A-Za-z0-9]{30,}|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[\w\-]{50,}
    |\bSG\.[\w\-]{16,}\.[\w\-]{16,}|\beyJ[\w\-]{8,}\.eyJ[\w\-]{8,}\.[\w\-]{8,}""",
    re.VERBOSE | re.ASCII,
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:[^-]{0,8000}-----END (?:[A-Z]+ )*PRIVATE KEY-----)?"
)
# Every key above has "_" or one of these, which most texts have none of. A letter is found in a tenth of the time that
# a word takes: for each word one of its letters, the rarest, is looked for first.
_KEY_HINTS = (
    *(("-", "sk-"), ("-", "glpat-"), ("-", "pypi-"), ("K", "AKIA"), ("K", "AKID"), ("L", "LTAI"), ("z", "AIza")),
    *(("I", "ASIA"), ("x", "xox"), ("G", "SG."), ("J", "eyJ")),
)
# Keys are long words.
_LONG_WORD = re.compile(r"(?<![\w\-])[\w.\-]{16,}", re.ASCII)
_SECRETS = re.compile(
    r"(?:password|passwd|(?:api|secret|access)[_ \-]?key|access[_ \-]?token|client[_ \-]?secret|密码|口令|密钥)"
    r"['\"]?\s*(?:[:=：]|is\b|是|为)\s*['\"]?([^\s'\"，。,;]{8,128})",
    re.IGNORECASE,
)
_BETWEEN_NAME_AND_SECRET = (":", "=", "：", " is ", "是", "为")
_SECRET_HINTS = ("passw", "key", "token", "secret", "密", "口令")
# Stretches of digits; what has to do with numbers is looked for around them alone.
_STRETCH = re.compile(r"[0-9](?:[^0-9]{0,3}[0-9]){5,}")
_DIGIT, _NO_DIGIT = b"0", b" "
_DIGITS_APART = bytes(ord(_DIGIT if chr(code) in "0123456789" else _NO_DIGIT) for code in range(256))
AROUND = 40
SHORT = 400
_WIDE = re.compile(r"[\uff01-\uff5e]")

# Of a digit in every second place the double, with its two digits added up.
_DOUBLED = {str(digit): sum(map(int, str(2 * digit))) for digit in range(10)}
_CHINA_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHINA_LANDLINE = re.compile(r"0(?:10|2\d|[3-9]\d{2})\d{7,8}")
_CHINA_MOBILE = re.compile(r"(?:\+?86|0086)?1[3-9]\d{9}")
# Where numbers stand that belong to nobody: dates, versions and amounts are kept by their shape.
_DATE = re.compile(r"(?:19|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:[0-3]?\d)(?:\D.*)?")
_PHONE_HINT = re.compile(
    r"(?:phone|tel|mobile|cell|call|fax|whatsapp|dial|text me|ring|reach|my number|电话|手机|联系|致电|拨打|热线|号码)"
    r"[^\n]{0,24}$",
    re.IGNORECASE,
)
# Numbers without letters and check digits: what they are is said before them.
_IDENTITY_HINT = re.compile(r"(?:\bssn|social security|passport|护照)[^\n\d]{0,24}$", re.IGNORECASE)


def findings(text: str) -> list[Finding]:
    """Everything of a personal kind in the text, first things first, none within another."""
    plain = text
    if not text.isascii() and _WIDE.search(text):
        # Full-width forms become plain ones, character by character, so that places stay.
        plain = _WIDE.sub(lambda wide: unicodedata.normalize("NFKC", wide.group()), text)
    found = sorted(_all(plain), key=lambda one: (one.start, -one.end))
    kept: list[Finding] = []
    for one in found:
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


def masked(texts: Sequence[str]) -> list[str]:
    """The texts with a placeholder for each finding; the same words get the same one in all of them."""
    names: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}
    result = []
    for text in texts:
        parts, at = [], 0
        for one in findings(text):
            key = (one.kind, text[one.start : one.end])
            if key not in names:
                counts[one.kind] = counts.get(one.kind, 0) + 1
                names[key] = f"[{one.kind.upper()}_{counts[one.kind]}]"
            parts += [text[at : one.start], names[key]]
            at = one.end
        result.append("".join([*parts, text[at:]]))
    return result


def _all(text: str) -> Iterator[Finding]:
    if "@" in text:
        yield from _emails(text)
    # Most texts have no brackets, and few of those that do hide an address in them.
    if _any_in(_BRACKETS, text) and _HIDDEN_AT.search(text):
        yield from (Finding("email", *match.span()) for match in _HIDDEN_EMAIL.finditer(text))
    if "_" in text or _may_hold_a_key(text):
        for word in _LONG_WORD.finditer(text):
            if match := _KEYS.search(text, *word.span()):
                yield Finding("key", *match.span())
    if "-----B" in text:
        yield from (Finding("key", *match.span()) for match in _PRIVATE_KEY.finditer(text))
    if _any_in(_BETWEEN_NAME_AND_SECRET, text) and _any_in(_SECRET_HINTS, text.lower()):
        yield from (Finding("key", *match.span(1)) for match in _SECRETS.finditer(text) if _looks_random(match[1]))
    for stretch in _stretches(text):
        yield from _numbers(text, stretch)


def _may_hold_a_key(text: str) -> bool:
    for letter, hint in _KEY_HINTS:  # noqa: SIM110 - as below
        if letter in text and hint in text:
            return True
    return False


def _any_in(hints: Sequence[str], text: str) -> bool:
    for hint in hints:  # noqa: SIM110 - a generator for `any` costs more than the searches
        if hint in text:
            return True
    return False


def _emails(text: str) -> Iterator[Finding]:
    at = text.find("@")
    while at >= 0:
        first = max(0, at - 64)
        before, after = _BEFORE_AT.search(text[first:at]), _AFTER_AT.match(text, at)
        if before and after:
            yield Finding("email", first + before.start(), after.end())
        at = text.find("@", at + 1)


def _stretches(text: str) -> Iterator[re.Match[str]]:
    """What `_STRETCH.finditer` finds, which goes from character to character: of long texts from number to number."""
    if len(text) < SHORT:
        yield from _STRETCH.finditer(text)
        return
    digits = text.encode("latin-1", "replace").translate(_DIGITS_APART)
    at = digits.find(_DIGIT)
    while at >= 0:
        if match := _STRETCH.match(text, at):
            yield match
            at = match.end()
        else:  # from the middle of the number there are still fewer digits
            at = max(at, digits.find(_NO_DIGIT, at))
        at = digits.find(_DIGIT, at + 1)


def _numbers(text: str, stretch: re.Match[str]) -> Iterator[Finding]:
    (begin, end), written = stretch.span(), stretch[0]
    first, last = max(0, begin - AROUND), end + AROUND
    if "-" in written or " " in written:
        yield from (Finding("id_number", *match.span()) for match in _US_SOCIAL.finditer(text, begin, end + 1))
    if _LETTERS_FIRST.search(text, first, last):
        yield from (Finding("id_number", *match.span()) for match in _UK_INSURANCE.finditer(text, first, last))
        yield from (Finding("id_number", *match.span(1)) for match in _PASSPORT.finditer(text, first, last))
        yield from (Finding("iban", *match.span()) for match in _IBAN.finditer(text, first, last) if _is_iban(match[0]))
    # A number is within its stretch, but for a sign and bracket before it and a last X.
    for match in _NUMBER.finditer(text, max(0, begin - 2), end + 3):
        kind = _kind_of(match[0], text[max(0, match.start() - AROUND) : match.start()])
        if kind:
            yield Finding(kind, *match.span())


def _kind_of(written: str, before: str) -> str:
    """What a run of digits is; empty for nothing personal."""
    digits = written.translate(_BETWEEN_DIGITS).upper()
    if len(digits) == 18 and _is_chinese_identity(digits):
        return "id_number"
    if digits.endswith("X"):
        return ""
    if (
        13 <= len(digits) <= 19
        and not set(written.lstrip("(")) & set("./()")
        and digits[0] in "234568"
        and _passes_luhn(digits)
        and len(set(digits)) > 1
    ):
        return "card"
    if len(digits) in (8, 9) and _IDENTITY_HINT.search(before):
        return "id_number"
    if _is_telephone(written, digits, before):
        return "phone"
    return ""


def _is_telephone(written: str, digits: str, before: str) -> bool:
    written = written.strip("( )")
    if _CHINA_MOBILE.fullmatch(digits) or (written.startswith("0") and _CHINA_LANDLINE.fullmatch(digits)):
        return True
    if not 7 <= len(digits) <= 15 or _DATE.fullmatch(written):
        return False
    if written.startswith(("+", "00")) and len(digits) >= 9:
        return True
    groups = re.split(r"[ \-().\u2010-\u2015/]+", written)
    sizes = [len(group) for group in groups if group]
    if sizes in ([3, 3, 4], [1, 3, 3, 4]) and groups[-3][0] in "23456789":
        return True
    if sizes[0] >= 4 and written.startswith("0") and len(digits) in (10, 11) and len(sizes) > 1:
        return True
    return bool(_PHONE_HINT.search(before))


def _is_chinese_identity(digits: str) -> bool:
    """GB 11643: region, birthday, sequence, and a check digit modulo 11 (X is ten)."""
    year, month, day = int(digits[6:10]), int(digits[10:12]), int(digits[12:14])
    if not (1900 <= year <= 2100 and 1 <= month <= 12 and 1 <= day <= 31) or "X" in digits[:17]:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, _CHINA_WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == digits[17]


def _passes_luhn(digits: str) -> bool:
    total = sum(map(int, digits[::-2])) + sum(map(_DOUBLED.__getitem__, digits[-2::-2]))
    return total % 10 == 0


def _is_iban(written: str) -> bool:
    plain = written.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def _looks_random(secret: str) -> bool:
    """Has letters and digits, as no word of a sentence has."""
    return any(map(str.isdigit, secret)) and any(map(str.isalpha, secret)) and secret.isascii()
