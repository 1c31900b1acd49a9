"""How a key is written: `parley_` + 36 random characters + 6 of checksum, all of `0-9A-Za-z`.

The fixed beginning and the checksum let secret scanners find a leaked key without asking us, and let us refuse a
mistyped one without asking the database. Expression for scanners: `parley_[0-9A-Za-z]{42}`.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib

BEGINNING = "parley_"
RANDOM_CHARACTERS = 36  # 214 bits
CHECKSUM_CHARACTERS = 6
SHOWN_CHARACTERS = 6
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


def new_key() -> str:
    """A fresh key; nobody keeps it but the person it is shown to."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
    return f"{BEGINNING}{body}{_checksum(body)}"


def is_well_formed(key: str) -> bool:
    """Whether it could be one of ours: the beginning, the length and the checksum are right."""
    if len(key) != len(BEGINNING) + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS or not key.startswith(BEGINNING):
        return False
    body, checksum = key[len(BEGINNING) : -CHECKSUM_CHARACTERS], key[-CHECKSUM_CHARACTERS:]
    return body.isascii() and body.isalnum() and secrets.compare_digest(checksum.encode(), _checksum(body).encode())


def shown_part(key: str) -> str:
    """The beginning that lists show."""
    return key[: len(BEGINNING) + SHOWN_CHARACTERS]


def digest(key: str) -> str:
    """What is stored. A key has 214 random bits, so that a plain digest cannot be searched backwards."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(body: str) -> str:
    value, characters = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_CHARACTERS):
        value, remainder = divmod(value, len(ALPHABET))
        characters = ALPHABET[remainder] + characters
    return characters
