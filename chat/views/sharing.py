"""Sharing: the owner's links, and the page that anybody with a link reads."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from chat import cards, copying, sharing, tree
from chat.forms import ForkForm, ShareForm
from chat.models import Message, Share
from chat.views.requests import own_conversation, person

# A page is made for anybody who asks, as often as they ask.
MESSAGES_ON_A_PAGE = 100


@login_required
def share(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """The links of a conversation, and a form that makes another."""
    shown = own_conversation(request, conversation_id)
    path = [turn.message for turn in tree.current_path(shown)]
    form = ShareForm(request.POST or None, path=path, title=shown.title)
    if request.method == "POST" and form.is_valid():
        try:
            sharing.share(conversation=shown, now=timezone.now(), **form.cleaned_data)
        except sharing.CannotShare:
            form.add_error(
                None, _("This part cannot be shared: a reply in it is unfinished, or the chat is temporary.")
            )
        else:
            messages.success(request, _("The link is ready."))
            return redirect("share", shown.pk)
    links = Share.objects.readable(now=timezone.now()).filter(conversation=shown).order_by("-created_at")
    return render(request, "chat/share.html", {"conversation": shown, "form": form, "links": links, "has_turns": path})


@login_required
@require_POST
def revoke(request: HttpRequest, share_id: uuid.UUID) -> HttpResponse:
    shared = get_object_or_404(Share, pk=share_id, user=person(request))
    sharing.revoke(shared, now=timezone.now())
    messages.success(request, _("The link no longer works."))
    return redirect("share", shared.conversation_id)


@require_GET
def shared_page(request: HttpRequest, token: str) -> HttpResponse:
    """What was shared, for anybody with the link."""
    shared = _readable(token)
    if shared is None:
        return _gone(request)
    page = Paginator(sharing.messages_of(shared), MESSAGES_ON_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "shared": shared,
        "title": shared.title or _("A shared conversation"),
        "page": page,
        "has_card": cards.can_write(shared.title),
        "author": "" if shared.is_anonymous else shared.user.name,
    }
    response = render(request, "chat/shared.html", context)
    if not shared.is_indexed:
        response["X-Robots-Tag"] = "noindex, nofollow"
    return response


@require_GET
def card(_request: HttpRequest, token: str) -> HttpResponse:
    """The picture for previews of the link; 404 once it has ended, as for the page."""
    shared = _readable(token)
    if shared is None or not cards.can_write(shared.title):
        raise Http404
    response = HttpResponse(cards.png(shared.title), content_type="image/png")
    response["Cache-Control"] = "no-cache"  # nobody shows it from a copy once the link has ended
    if not shared.is_indexed:
        response["X-Robots-Tag"] = "noindex, nofollow"
    return response


@login_required
def continue_shared(request: HttpRequest, token: str) -> HttpResponse:
    """A conversation of the reader's own that begins with what was shared; signing in leads back here."""
    shared = _readable(token)
    if shared is None:
        return _gone(request)
    if request.method != "POST":
        return redirect("shared", token)
    made = sharing.continue_from(shared, user=person(request), now=timezone.now())
    return redirect("conversation", made.pk)


@login_required
@require_POST
def fork(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """Another conversation that ends at this message."""
    shown = own_conversation(request, conversation_id)
    message = get_object_or_404(Message, pk=message_id, conversation=shown)
    form = ForkForm(request.POST)
    part = copying.Part(form.cleaned_data["part"]) if form.is_valid() else copying.Part.PATH
    made = copying.fork(conversation=shown, message=message, part=part, now=timezone.now())
    messages.success(request, _("This is the fork; the other conversation stays as it was."))
    if shown.documents.searchable().exists() and not made.documents.exists():
        messages.warning(
            request, _("The documents are in the other conversation only: your plan keeps no more of them.")
        )
    return redirect("conversation", made.pk)


def _readable(token: str) -> Share | None:
    rows = Share.objects.readable(now=timezone.now()).select_related("user", "conversation")
    return rows.filter(token=token).first()


def _gone(request: HttpRequest) -> HttpResponse:
    """One answer for links that ended and links that never were: a token cannot be tried out."""
    response = render(request, "chat/shared_gone.html", status=404)
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response
