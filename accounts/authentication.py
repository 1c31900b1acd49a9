"""Who makes a request of the API: the owner of the key in `Authorization: Bearer parley_…`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts import api_keys
from accounts.models import ApiKey, User

if TYPE_CHECKING:
    from rest_framework.views import APIView

SCHEME = "bearer"


class BadKey(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """A key was given, and it opens nothing: mistyped, revoked, expired, or of an account that is closed."""


def key_of(request: HttpRequest, *, now: datetime) -> ApiKey | None:
    """The key that came with the request; None when none came. Raises `BadKey`."""
    scheme, _space, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != SCHEME:
        return None
    key = api_keys.find(text.strip(), now=now)
    if key is None:
        raise BadKey
    return key


def key_behind(request: Request) -> ApiKey | None:
    """The key by which a request of the API came; None for a session."""
    return request.auth if isinstance(request.auth, ApiKey) else None


class KeyAuthentication(BaseAuthentication):
    """For Django REST framework; `request.auth` is the key."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        try:
            key = key_of(request._request, now=timezone.now())
        except BadKey as error:
            text = _("This API key does not work: it is mistyped, revoked or expired. Make a new one in the settings.")
            raise AuthenticationFailed(text, code="invalid_api_key") from error
        return (key.user, key) if key else None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class KeyHasScope(BasePermission):
    """A key opens what its scopes name: a view's own `required_scope`, else the scope of its app. Sessions open all."""

    code = "missing_scope"
    message = _("This API key lacks the scope that this needs. Make one that has it in the settings.")
    scope_of_app = {
        "chat": ApiKey.Scope.CHAT,
        "feedback": ApiKey.Scope.RATINGS,
        "billing": ApiKey.Scope.USAGE,
    }

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, ApiKey):
            return True
        app = type(view).__module__.partition(".")[0]
        needed = getattr(view, "required_scope", None) or self.scope_of_app.get(app)
        return needed in request.auth.scopes
