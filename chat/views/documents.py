"""Documents: attaching, how far reading is, the page that citations open, removing."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from chat.documents import attaching, showing
from chat.documents.refusals import CannotAttach, too_large
from chat.models import Conversation, Document
from chat.views.requests import id_or_none, is_fetch, own_conversation, person


@login_required
@require_POST
def attach(request: HttpRequest) -> HttpResponse:
    """Files for a conversation, or for the first message of a new one. The page's script sends them one by one."""
    named = id_or_none(request.POST.get("conversation"))
    shown = own_conversation(request, named) if named else None
    files = request.FILES.getlist("file")
    try:
        if not files:
            raise CannotAttach(_("Choose a file first."))
        attached = []
        for file in files:
            if (file.size or 0) > attaching.largest():
                raise too_large()
            attached.append(
                attaching.attach(
                    user=person(request),
                    conversation=shown,
                    name=file.name or "",
                    content=file.read(),
                    now=timezone.now(),
                )
            )
    except CannotAttach as refusal:
        if is_fetch(request):
            return JsonResponse({"message": str(refusal)}, status=400)
        messages.error(request, str(refusal))
        return _back(shown)
    return JsonResponse(_state(request, attached[0]), status=201) if is_fetch(request) else _back(shown)


@login_required
@require_GET
def state(request: HttpRequest, document_id: uuid.UUID) -> HttpResponse:
    """How far reading is, with the document as the composer lists it."""
    return JsonResponse(_state(request, _own(request, document_id)))


@login_required
@require_GET
def document(request: HttpRequest, document_id: uuid.UUID) -> HttpResponse:
    """The text of a document as the model is given it; `?at=` opens the page with that passage."""
    shown = _own(request, document_id)
    at = request.GET.get("at", "")
    page = showing.page_at(shown, int(at) if at.isdecimal() and len(at) < 7 else 0)
    return render(request, "chat/documents/document.html", {"document": shown, "page": page})


@login_required
@require_POST
def remove(request: HttpRequest, document_id: uuid.UUID) -> HttpResponse:
    """Erase a document; the conversation stays."""
    shown = _own(request, document_id)
    conversation = shown.conversation
    attaching.remove(shown)
    return HttpResponse(status=204) if is_fetch(request) else _back(conversation)


def _own(request: HttpRequest, document_id: uuid.UUID) -> Document:
    """The person's document; raises `Http404` for anybody else's and for those of deleted conversations."""
    mine = Document.objects.filter(user=person(request), conversation__deleted_at=None)
    return get_object_or_404(mine.select_related("conversation"), pk=document_id)


def _state(request: HttpRequest, shown: Document) -> dict[str, str]:
    html = render_to_string("chat/documents/attached.html", {"document": shown}, request=request)
    said = _("%(name)s: %(state)s") % {"name": shown.name, "state": showing.state_text(shown)}
    return {"id": str(shown.pk), "state": shown.state, "said": said, "html": html}


def _back(shown: Conversation | None) -> HttpResponse:
    return redirect("conversation", shown.pk) if shown else redirect("chat")
