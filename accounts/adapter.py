"""Where django-allauth asks us."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.totp.internal.auth import generate_totp_secret
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.core.mail import EmailMessage
from django.http import HttpRequest
from django.utils import translation

from accounts import activity, sealing, tasks
from accounts.models import User

PURPOSE = "accounts.second-step"
MARK = "sealed:"
LIMITS = "allauth.account"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Our policy for sign-in; allauth does the rest."""

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Raises `ValidationError` for a try too many; one that succeeds is taken off again."""
        super().pre_authenticate(request, **credentials)
        account = super()._get_login_attempts_cache_key(request, **credentials)
        anywhere = ratelimit.consume(request, app=LIMITS, action="login_failed_anywhere", key=account)
        if anywhere is None:
            raise self.validation_error("too_many_login_attempts")
        self._login_failed_rl_usage.usage += anywhere.usage

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """The account and the address: guessing at an account from elsewhere does not shut its person out."""
        return f"{super()._get_login_attempts_cache_key(request, **credentials)}:{ratelimit.get_ip(request)}"

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        super()._delete_login_attempts_cached_email(request, **credentials)
        account = super()._get_login_attempts_cache_key(request, **credentials)
        ratelimit.clear(request, app=LIMITS, action="login_failed_anywhere", key=account)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Written down by a worker, whether there is such an account or not: the answer takes as long for both."""
        super().authentication_failed(request, **credentials)
        tasks.note_failed_sign_in.delay(str(credentials.get("email") or ""), activity.address_of(request))

    def render_mail(
        self, template_prefix: str, email: str | list[str], context: dict[str, Any], headers: Any = None
    ) -> EmailMessage:
        """In the language of whom it is for, whoever asked for it: a letter of the support desk's too."""
        person = context.get("user")
        language = person.language if isinstance(person, User) else ""
        site = {
            "site_name": settings.SITE_NAME,
            "site_url": settings.SITE_URL,
        }  # subjects are rendered without a request
        with translation.override(language or translation.get_language()):
            letter: EmailMessage = super().render_mail(template_prefix, email, {**site, **context}, headers)
        return letter


class ElsewhereAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """For accounts of other sites."""

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        person: User = super().populate_user(request, sociallogin, data)
        person.name = str(data.get("name") or "")[:80]
        return person


class SecondStepAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Seeds of authenticator apps and of recovery codes are of no use to whoever reads the database alone."""

    def encrypt(self, text: str) -> str:
        return MARK + sealing.sealed(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        if not encrypted_text.startswith(MARK):  # kept before they were sealed
            return encrypted_text
        try:
            return sealing.opened(encrypted_text.removeprefix(MARK), purpose=PURPOSE)
        except sealing.NotOurs:  # the SECRET_KEY is another: no code fits, and nobody can guess one
            return str(generate_totp_secret())
