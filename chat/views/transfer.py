"""Conversations out as files and in from elsewhere."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from chat import exporting, importing
from chat.views.requests import own_conversation, person


@login_required
@require_GET
def export(request: HttpRequest, conversation_id: uuid.UUID, kind: str) -> HttpResponse:
    """One conversation as a file."""
    shown = own_conversation(request, conversation_id)
    if kind not in exporting.TYPES:
        raise Http404
    response = HttpResponse(exporting.export(shown, kind), content_type=exporting.TYPES[kind])
    name = exporting.file_name(shown, kind)
    response.headers["Content-Disposition"] = _attachment(name)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@login_required
@require_GET
def export_all(request: HttpRequest, kind: str) -> HttpResponseBase:
    """Every conversation, in a zip file."""
    if kind not in exporting.TYPES:
        raise Http404
    file = exporting.export_all(person(request), kind)
    return FileResponse(file, as_attachment=True, filename=f"conversations-{kind}.zip", content_type="application/zip")


@login_required
def transfer(request: HttpRequest) -> HttpResponse:
    """Take all conversations away, or bring those of ChatGPT in."""
    if request.method != "POST":
        return render(request, "chat/transfer.html")
    file = request.FILES.get("file")
    if file is None or file.file is None:
        return _refused(request, _("Choose a file first."))
    try:
        done = importing.take(file.file, user=person(request), now=timezone.now())
    except importing.BadExport as error:
        return _refused(request, _reason(str(error)))
    text = ngettext("%(count)s conversation came in.", "%(count)s conversations came in.", done.taken)
    parts = [text % {"count": done.taken}]
    if done.known:
        parts.append(_("%(count)s were here already.") % {"count": done.known})
    if done.unreadable:
        parts.append(_("%(count)s could not be read.") % {"count": done.unreadable})
    if done.left:
        parts.append(_("%(count)s are left: import the file again to bring them in.") % {"count": done.left})
    messages.success(request, " ".join(parts))
    return redirect("collection")


def _reason(code: str) -> str:
    return {
        "too_large": _("The file is too large: at most 30 MB, and 150 MB when it is unpacked."),
        "not_a_zip": _("The zip file is damaged. Download it from ChatGPT again."),
        "no_conversations": _("The zip file holds no conversations.json."),
    }.get(code, _("This is not a ChatGPT export. Upload its zip file, or the conversations.json in it."))


def _refused(request: HttpRequest, text: str) -> HttpResponse:
    return render(request, "chat/transfer.html", {"refusal": text}, status=400)


def _attachment(name: str) -> str:
    return content_disposition_header(as_attachment=True, filename=name) or "attachment"
