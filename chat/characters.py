"""Which characters a text may have that is stored."""


def storable(text: str) -> str:
    """The text without NUL, which PostgreSQL's text and jsonb cannot hold, and without lone surrogates, which UTF-8
    cannot."""
    return text.replace("\0", "").encode(errors="ignore").decode()
