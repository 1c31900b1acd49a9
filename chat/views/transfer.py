"""Conversations out as files and in from elsewhere."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.sending_files import one_by_one
from chat import exporting, importing
from chat.forms import ImportForm
from chat.views.requests import is_fetch, own_conversation, person


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
    """Every conversation, in a zip file that leaves as it is made: of thousands it takes minutes."""
    if kind not in exporting.TYPES:
        raise Http404
    parts = exporting.export_all(person(request), kind, language=get_language())
    response = StreamingHttpResponse(one_by_one(parts), content_type="application/zip")
    response.headers["Content-Disposition"] = _attachment(f"conversations-{kind}.zip")
    return response


@login_required
def transfer(request: HttpRequest) -> HttpResponse:
    """Take all conversations away, or bring those of ChatGPT in: a script sends the file again until none are left."""
    if request.method != "POST":
        return render(request, "chat/transfer.html")
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return _refused(request, _("Choose a file first."))
    given = form.cleaned_data
    before = {name: given[name] or 0 for name in ("taken", "known", "unreadable")}
    try:
        done = importing.take(
            given["file"].file, user=person(request), now=timezone.now(), start=sum(before.values())
        ).and_before(**before)
    except importing.BadExport as error:
        return _refused(request, _reason(str(error)))
    if is_fetch(request) and done.left:
        return JsonResponse(_progress(done))
    messages.success(request, _told(done))
    address = reverse("collection")
    return JsonResponse({"url": address}) if is_fetch(request) else redirect(address)


def _progress(done: importing.Imported) -> dict[str, object]:
    """What a script sends again, with the file, and what it shows meanwhile."""
    counts = {"taken": done.taken, "known": done.known, "unreadable": done.unreadable}
    so_far = {"done": sum(counts.values()), "all": sum(counts.values()) + done.left}
    return {"again": counts, "text": _("%(done)s of %(all)s conversations") % so_far, **so_far}


def _told(done: importing.Imported) -> str:
    text = ngettext("%(count)s conversation came in.", "%(count)s conversations came in.", done.taken)
    parts = [text % {"count": done.taken}]
    if done.known:
        parts.append(_("%(count)s were here already.") % {"count": done.known})
    if done.unreadable:
        parts.append(_("%(count)s could not be read.") % {"count": done.unreadable})
    if done.left:
        parts.append(_("%(count)s are left: import the file again to bring them in.") % {"count": done.left})
    return " ".join(parts)


def _reason(code: str) -> str:
    return {
        "too_large": _("The file is too large: at most 30 MB, and 150 MB when it is unpacked."),
        "not_a_zip": _("The zip file is damaged. Download it from ChatGPT again."),
        "no_conversations": _("The zip file holds no conversations.json."),
    }.get(code, _("This is not a ChatGPT export. Upload its zip file, or the conversations.json in it."))


def _refused(request: HttpRequest, text: str) -> HttpResponse:
    if is_fetch(request):
        return JsonResponse({"detail": text}, status=400)
    return render(request, "chat/transfer.html", {"refusal": text}, status=400)


def _attachment(name: str) -> str:
    return content_disposition_header(as_attachment=True, filename=name) or "attachment"
