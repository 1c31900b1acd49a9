"""Webhooks under the settings: list, make, change, test, a log with re-send. A secret is on one page, once."""

from __future__ import annotations

import uuid
from typing import cast

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import activity
from accounts.forms import WebhookForm
from accounts.models import ActivityEvent, User, WebhookDelivery, WebhookEndpoint
from accounts.webhooks import endpoints, publishing, sending

ROWS = 30


@login_required
@require_safe
def webhooks_page(request: HttpRequest) -> HttpResponse:
    found = WebhookEndpoint.objects.filter(user=cast(User, request.user))
    return render(request, "accounts/webhooks.html", {"endpoints": found})


@reauthentication_required  # type: ignore[untyped-decorator]
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def new_webhook(request: HttpRequest) -> HttpResponse:
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            endpoint, secret = endpoints.create(user=cast(User, request.user), now=timezone.now(), **form.wishes())
        except ValidationError as refusal:
            form.add_error("url", refusal)
        else:
            record(request, endpoint, ActivityEvent.Kind.WEBHOOK_MADE)
            return render(request, "accounts/webhook_secret.html", {"endpoint": endpoint, "secret": secret}, status=201)
    return render(request, "accounts/webhook_new.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def one_webhook(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Its address, events and pause; and what it was told."""
    endpoint = _own(request, endpoint_id)
    form = WebhookForm(request.POST or None, endpoint=endpoint)
    if request.method == "POST" and form.is_valid():
        try:
            endpoints.change(endpoint=endpoint, is_paused=form.is_paused, now=timezone.now(), **form.wishes())
        except ValidationError as refusal:
            form.add_error("url", refusal)
        else:
            record(request, endpoint, ActivityEvent.Kind.WEBHOOK_CHANGED)
            messages.success(request, _("The webhook is saved."))
            return redirect("webhook", endpoint.pk)
    page = Paginator(endpoint.deliveries.prefetch_related("log"), ROWS).get_page(request.GET.get("page"))
    context = {"form": form, "endpoint": endpoint, "page": page}
    return render(request, "accounts/webhook.html", context, status=422 if form.errors else 200)


@reauthentication_required  # type: ignore[untyped-decorator]
@require_POST
@never_cache
def rotate_secret(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    endpoint = _own(request, endpoint_id)
    secret = endpoints.rotate(endpoint=endpoint, now=timezone.now())
    record(request, endpoint, ActivityEvent.Kind.WEBHOOK_CHANGED)
    context = {"endpoint": endpoint, "secret": secret, "is_replaced": True}
    return render(request, "accounts/webhook_secret.html", context, status=201)


@login_required
@require_POST
def remove_webhook(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    endpoint = _own(request, endpoint_id)
    record(request, endpoint, ActivityEvent.Kind.WEBHOOK_REMOVED)
    endpoint.delete()
    messages.success(request, _("The webhook is removed."))
    return redirect("webhooks")


@login_required
@require_POST
def test_webhook(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    publishing.send_test(endpoint=_own(request, endpoint_id), now=timezone.now())
    messages.success(request, _("A test message is on its way."))
    return redirect("webhook", endpoint_id)


@login_required
@require_POST
def send_again(request: HttpRequest, delivery_id: uuid.UUID) -> HttpResponse:
    own = WebhookDelivery.objects.filter(endpoint__user=cast(User, request.user))
    delivery = get_object_or_404(own, pk=delivery_id)
    sending.send_again(delivery=delivery, now=timezone.now())
    messages.success(request, _("The message is on its way again."))
    return redirect("webhook", delivery.endpoint_id)


def _own(request: HttpRequest, endpoint_id: uuid.UUID) -> WebhookEndpoint:
    return get_object_or_404(WebhookEndpoint, user=cast(User, request.user), pk=endpoint_id)


def record(request: HttpRequest, endpoint: WebhookEndpoint, kind: ActivityEvent.Kind) -> None:
    """In the log of the account; also for those who come by the API."""
    address = activity.address_of(request)
    activity.record(user=endpoint.user, kind=kind, now=timezone.now(), detail=endpoint.url, address=address)
