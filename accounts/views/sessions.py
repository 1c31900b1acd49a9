"""Where the account is open, one device a line; and the way out."""

from __future__ import annotations

from typing import cast

from allauth.account.views import LogoutView
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import activity, sessions
from accounts.models import User


@login_required
@require_safe
@never_cache
def sessions_page(request: HttpRequest) -> HttpResponse:
    here = request.session.session_key
    found = [
        (session, sessions.device(session.user_agent), session.session_key == here)
        for session in sessions.open_for(cast(User, request.user))
    ]
    return render(request, "accounts/sessions.html", {"sessions": found})


@login_required
@require_POST
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """Closing a door asks for nothing but the session."""
    session = get_object_or_404(UserSession, user=cast(User, request.user), pk=session_id)
    if session.session_key == request.session.session_key:
        return redirect("account_logout")
    sessions.end(session, now=timezone.now(), address=activity.address_of(request))
    name = sessions.device(session.user_agent)
    messages.success(request, _("%(device)s is signed out.") % {"device": name})
    return redirect("sessions")


@login_required
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    here, address = request.session.session_key, activity.address_of(request)
    count = sessions.end_others(cast(User, request.user), but=here, now=timezone.now(), address=address)
    told = ngettext("One session is ended.", "%(count)s sessions are ended.", count) % {"count": count}
    messages.success(request, told)
    return redirect("sessions")


class SignOut(LogoutView):  # type: ignore[misc]
    """As django-allauth's; the browser is told to forget what it kept, such as messages that were not sent."""

    def post(self, *arguments: object, **named: object) -> HttpResponseBase:
        answer: HttpResponseBase = super().post(*arguments, **named)
        answer.headers["Clear-Site-Data"] = '"storage"'
        return answer
