"""API keys under the settings: list, make, replace, revoke. A key's text is on one page, once."""

from __future__ import annotations

import uuid
from typing import cast

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import activity, api_keys
from accounts.forms import ApiKeyForm
from accounts.models import ActivityEvent, ApiKey, User


@login_required
@require_safe
def keys_page(request: HttpRequest) -> HttpResponse:
    """Every key of the person, those that work first."""
    now = timezone.now()
    keys = list(ApiKey.objects.of(cast(User, request.user)).select_related("original"))
    context = {
        "usable": [(key, key.spent_in(now=now)) for key in keys if key.is_usable(now=now)],
        "ended": [key for key in keys if not key.is_usable(now=now)][:20],
    }
    return render(request, "accounts/keys.html", context)


@reauthentication_required  # type: ignore[untyped-decorator]
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def new_key(request: HttpRequest) -> HttpResponse:
    form = ApiKeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        now = timezone.now()
        try:
            key, text = api_keys.create(user=cast(User, request.user), now=now, **form.wishes(now=now))
        except ValidationError as refusal:
            form.add_error(None, refusal)
        else:
            _record(request, key, ActivityEvent.Kind.KEY_MADE)
            return render(request, "accounts/key_made.html", {"key": key, "text": text}, status=201)
    return render(request, "accounts/key_new.html", {"form": form}, status=422 if form.errors else 200)


@reauthentication_required  # type: ignore[untyped-decorator]
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def replace_key(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    """Asks first; then shows the new key, while the old one works on for a day."""
    key = _own(request, key_id)
    if request.method != "POST":
        return render(request, "accounts/key_replace.html", {"key": key})
    try:
        successor, text = api_keys.rotate(key=key, now=timezone.now())
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect("keys")
    key.refresh_from_db()
    _record(request, key, ActivityEvent.Kind.KEY_REPLACED)
    return render(request, "accounts/key_made.html", {"key": successor, "text": text, "replaced": key}, status=201)


@login_required
@require_POST
def revoke_key(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    """Closing a door asks for nothing but the session."""
    key = _own(request, key_id)
    api_keys.revoke(key=key, now=timezone.now())
    _record(request, key, ActivityEvent.Kind.KEY_REVOKED)
    messages.success(request, _("The key %(name)s no longer works.") % {"name": key.name})
    return redirect("keys")


def _own(request: HttpRequest, key_id: uuid.UUID) -> ApiKey:
    return get_object_or_404(ApiKey.objects.of(cast(User, request.user)), pk=key_id)


def _record(request: HttpRequest, key: ApiKey, kind: ActivityEvent.Kind) -> None:
    address = activity.address_of(request)
    activity.record(user=key.user, kind=kind, now=timezone.now(), detail=str(key), address=address)
