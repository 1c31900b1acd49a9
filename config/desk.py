"""The admin site as our support desk has it: pages of packages that could open a person's account are taken away.

Whoever may write addresses, sessions or second steps could sign in as anybody, so not even administrators find them
here. Addresses, connected accounts and sessions are read on a person's own page instead.
"""

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin

DOORS = [Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken, UserSession]


def close_doors() -> None:
    """Called once every app has registered its pages."""
    admin.site.unregister([model for model in DOORS if admin.site.is_registered(model)])
