"""Your data: a copy of it, and its end. And what happened to the account."""

from __future__ import annotations

from typing import cast

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import activity, data_copies, erasure
from accounts.models import ActivityEvent, DataCopy, Deletion, User
from accounts.sending_files import SentFile

ROWS = 50


@login_required
@require_safe
def activity_page(request: HttpRequest) -> HttpResponse:
    events = ActivityEvent.objects.filter(user=cast(User, request.user))
    page = Paginator(events, ROWS).get_page(request.GET.get("page"))
    return render(request, "accounts/activity.html", {"page": page})


@login_required
@require_safe
@never_cache
def your_data(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    copies = DataCopy.objects.filter(user=user).exclude(state=DataCopy.State.GONE)[:5]
    context = {
        "copies": [(copy, data_copies.link_for(copy) if copy.state == "ready" else "") for copy in copies],
        "deletion": Deletion.objects.filter(user=user).first(),
    }
    return render(request, "accounts/your_data.html", context)


@reauthentication_required  # type: ignore[untyped-decorator]
@require_POST
def ask_for_copy(request: HttpRequest) -> HttpResponse:
    data_copies.ask(user=cast(User, request.user), now=timezone.now(), address=activity.address_of(request))
    messages.success(request, _("Your copy is being made. We send you a letter when it is ready."))
    return redirect("your_data")


@reauthentication_required  # type: ignore[untyped-decorator]
@require_safe
@never_cache
def download_copy(request: HttpRequest, token: str) -> HttpResponseBase:
    """The zip, for the person it is about and nobody else, whoever has the link."""
    user, now = cast(User, request.user), timezone.now()
    copy = data_copies.opened_by(user, token, now=now)
    if copy is None:
        raise Http404
    kind, address = ActivityEvent.Kind.DATA_FETCHED, activity.address_of(request)
    activity.record(user=user, kind=kind, now=now, address=address)
    content = default_storage.open(data_copies.path_of(copy.pk))
    return SentFile(content, as_attachment=True, filename=f"your-data-{copy.asked_at:%Y-%m-%d}.zip")


@reauthentication_required  # type: ignore[untyped-decorator]
@require_POST
def ask_for_deletion(request: HttpRequest) -> HttpResponse:
    erasure.ask(user=cast(User, request.user), now=timezone.now(), address=activity.address_of(request))
    return redirect("your_data")


@login_required
@require_POST
def call_deletion_off(request: HttpRequest) -> HttpResponse:
    erasure.call_off(user=cast(User, request.user), now=timezone.now(), address=activity.address_of(request))
    messages.success(request, _("Your account stays."))
    return redirect("your_data")
