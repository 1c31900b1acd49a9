"""Letters to a person by e-mail: in their language, and of those that may be refused only what they want."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise

from accounts.models import User

Kind = User.Letter
KEPT = timedelta(days=7)


def send(
    user: User,
    *,
    subject: Promise,
    template: str,
    context: Callable[[], Mapping[str, Any]],
    kind: User.Letter | None = None,
    about: Mapping[str, object] | None = None,
) -> None:
    """Write to the person in their language, unless they refuse letters of this `kind` (None: nobody may refuse it).

    The template gets their `name` too; all else as in `post`.
    """
    if kind is None or is_wanted(user, kind):
        post(
            user.email,
            language=user.language,
            subject=subject,
            template=template,
            context=lambda: {"name": user.get_short_name(), **context()},
            about=about,
        )


def post(
    address: str,
    *,
    language: str,
    subject: Promise,
    template: str,
    context: Callable[[], Mapping[str, Any]],
    about: Mapping[str, object] | None = None,
) -> None:
    """Write to an address, of somebody with an account or without one; an empty `language` is the site's.

    `subject` is a lazy translation, filled in with `about`. `template` is a text template, which gets `site_name` and
    what `context` returns when it is called in that language.
    """
    with translation.override(language or settings.LANGUAGE_CODE):
        text = render_to_string(template, {"site_name": settings.SITE_NAME, **context()})
        send_mail(str(subject) % about if about else str(subject), text, None, [address])


def remove_old(*, now: datetime) -> int:
    """Delete the letters that an install without a mail server kept longer than `KEPT`; returns how many."""
    folder = Path(settings.EMAIL_FILE_PATH) if hasattr(settings, "EMAIL_FILE_PATH") else None
    letters = folder.glob("*.eml") if folder else ()
    old = [letter for letter in letters if letter.stat().st_mtime < (now - KEPT).timestamp()]
    for letter in old:
        letter.unlink(missing_ok=True)
    return len(old)


def is_wanted(user: User, kind: User.Letter) -> bool:
    return kind not in user.refused_letters
