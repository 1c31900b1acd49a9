"""Letters to a person by e-mail: in their language, and of those that may be refused only what they want."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise

from accounts.models import User

Kind = User.Letter


def send(
    user: User,
    *,
    subject: str | Promise,
    template: str,
    context: Callable[[], Mapping[str, Any]],
    kind: User.Letter | None = None,
    about: Mapping[str, object] | None = None,
) -> bool:
    """Write to the person; False when they refuse letters of this `kind` (None: nobody may refuse it).

    `subject` is a lazy translation, filled in with `about`. `template` is a text template, which gets `name`,
    `site_name` and what `context` returns when it is called in the person's language.
    """
    if kind is not None and not is_wanted(user, kind):
        return False
    with translation.override(user.language or settings.LANGUAGE_CODE):
        whole = {"name": user.get_short_name(), "site_name": settings.SITE_NAME, **context()}
        text = render_to_string(template, whole)
        send_mail(str(subject) % about if about else str(subject), text, None, [user.email])
    return True


def is_wanted(user: User, kind: User.Letter) -> bool:
    return kind not in user.refused_letters
