"""The list of conversations: the sidebar's next page, the page of all of them, search, and changes to many at once."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from chat import collection, search, sending, sidebar
from chat.forms import ChangeForm, RenameForm
from chat.models import Conversation, Folder
from chat.views.pages import whole_page
from chat.views.requests import id_or_none, is_fetch, own_conversation, person

PAGE = 50


@login_required
@require_GET
def older_conversations(request: HttpRequest) -> HttpResponse:
    """The list of conversations from a cursor on; `current` marks the one that is open."""
    page = sidebar.page_of(person(request), now=timezone.now(), cursor=request.GET.get("after", ""))
    if not is_fetch(request):
        return render(request, "chat/conversation.html", whole_page(request, None, conversations=page))
    context = {"conversations": page, "current": id_or_none(request.GET.get("current"))}
    return render(request, "chat/conversation_list.html", context)


@login_required
@require_GET
def all_conversations(request: HttpRequest) -> HttpResponse:
    """Every conversation, those of one folder, the archived, the deleted, or what a search found."""
    user, now = person(request), timezone.now()
    text = request.GET.get("q", "").strip()
    show = request.GET.get("show", "all")
    folder = _folder(request, request.GET.get("folder"))
    after = request.GET.get("after", "")
    hits, rows = None, None
    if text:
        hits, cursor = _hits(user, text, after)
    else:
        rows, cursor = sidebar.after(_rows(request, show, folder), cursor=after, size=PAGE)
    context = {
        "conversations": sidebar.page_of(user, now=now),
        "text": text,
        "hits": hits,
        "rows": rows,
        "next_url": _next_url(request, cursor),
        "show": show,
        "folder": folder,
        "tabs": _tabs(show, folder),
    }
    return render(request, "chat/collection_rows.html" if is_fetch(request) else "chat/collection.html", context)


def _hits(user: User, text: str, cursor: str) -> tuple[list[search.Hit], str]:
    """Those after a cursor; one that is not ours starts from the top."""
    try:
        return search.page_of(user, text, limit=search.HITS, cursor=cursor)
    except search.BadCursor:
        return search.page_of(user, text, limit=search.HITS)


def _rows(request: HttpRequest, show: str, folder: Folder | None) -> Any:
    mine = Conversation.objects.filter(user=person(request), is_temporary=False).select_related("folder")
    if show == "deleted":
        return mine.exclude(deleted_at=None)
    kept = mine.filter(deleted_at=None)
    if folder:
        return kept.filter(folder=folder)
    return kept.exclude(archived_at=None) if show == "archived" else kept.filter(archived_at=None)


def _tabs(show: str, folder: Folder | None) -> list[dict[str, Any]]:
    names = {"all": _("All"), "archived": _("Archived"), "deleted": _("Recently deleted")}
    address = reverse("collection")
    return [
        {"label": label, "url": f"{address}?show={name}", "current": not folder and show == name}
        for name, label in names.items()
    ]


def _next_url(request: HttpRequest, cursor: str) -> str:
    if not cursor:
        return ""
    kept = {name: value for name in ("q", "show", "folder") if (value := request.GET.get(name))}
    return f"{reverse('collection')}?{urlencode({**kept, 'after': cursor})}"


def _folder(request: HttpRequest, given: str | None) -> Folder | None:
    return get_object_or_404(Folder, pk=id_or_none(given), user=person(request)) if given else None


@login_required
@require_GET
def manage(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """What can be done with one conversation: a page, or the inside of a dialog."""
    shown = own_conversation(request, conversation_id)
    folders = Folder.objects.filter(user=person(request)).order_by("name")
    template = "chat/manage_actions.html" if is_fetch(request) else "chat/manage.html"
    return render(request, template, {"conversation": shown, "folders": folders})


@login_required
@require_POST
def change(request: HttpRequest) -> HttpResponse:
    """Pin, archive, move, delete or bring back the conversations named in the form."""
    form = ChangeForm(request.POST)
    ids = [found for text in request.POST.getlist("conversation") if (found := id_or_none(text))]
    if not form.is_valid() or not ids:
        return _answer(request, 400, _("Choose at least one conversation first."))
    given = form.cleaned_data
    try:
        done = collection.change(
            user=person(request),
            ids=ids,
            action=collection.Action(given["action"]),
            folder_name=given["folder_name"],
            now=timezone.now(),
        )
    except collection.BadFolder:
        return _answer(request, 400, _("A folder's name has at most 60 characters, and there can be 100 folders."))
    return _answer(request, 200, _done(done), done)


def _done(done: collection.Change) -> str:
    n = len(done.ids)
    texts = {
        collection.Action.PIN: ngettext("%(count)s conversation pinned.", "%(count)s conversations pinned.", n),
        collection.Action.UNPIN: ngettext("%(count)s conversation unpinned.", "%(count)s conversations unpinned.", n),
        collection.Action.ARCHIVE: ngettext("%(count)s conversation archived.", "%(count)s conversations archived.", n),
        collection.Action.UNARCHIVE: ngettext(
            "%(count)s conversation is back in the list.", "%(count)s conversations are back in the list.", n
        ),
        collection.Action.MOVE: ngettext("%(count)s conversation moved.", "%(count)s conversations moved.", n),
        collection.Action.DELETE: ngettext("%(count)s conversation deleted.", "%(count)s conversations deleted.", n),
        collection.Action.RESTORE: ngettext("%(count)s conversation restored.", "%(count)s conversations restored.", n),
    }
    return texts[done.action] % {"count": n}


def _answer(request: HttpRequest, status: int, text: str, done: collection.Change | None = None) -> HttpResponse:
    if is_fetch(request):
        if done is None:
            return JsonResponse({"error": {"message": text}}, status=status)
        undo = done.undo if done.undo_ids else None
        ids, undo_ids = ([str(one) for one in several] for several in (done.ids, done.undo_ids))
        return JsonResponse({"text": text, "ids": ids, "undo": undo, "undo_ids": undo_ids})
    (messages.success if done else messages.error)(request, text)
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return redirect(back if is_ours else "collection")


@login_required
@require_GET
def title(request: HttpRequest, conversation_id: uuid.UUID) -> JsonResponse:
    """The conversation's title now, for a page that waits for the model's."""
    shown = own_conversation(request, conversation_id)
    is_first_words = shown.title_source == Conversation.TitleSource.MESSAGE
    return JsonResponse({"title": shown.title, "is_first_words": is_first_words})


@login_required
@require_POST
def rename(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Give it another title; a script is told what to put in the place of the old one."""
    shown = own_conversation(request, conversation_id)
    form = RenameForm(request.POST)
    refusal = "" if form.is_valid() else _("A title has between 1 and 120 characters.")
    if refusal and is_fetch(request):
        return JsonResponse({"error": {"message": refusal}}, status=400)
    if refusal:
        messages.error(request, refusal)
        return redirect("conversation", conversation_id)
    title = form.cleaned_data["title"]
    sending.rename_conversation(conversation=shown, title=title)
    if not is_fetch(request):
        return redirect("conversation", conversation_id)
    return JsonResponse(
        {
            "conversation": str(shown.pk),
            "title": title,
            "options": _("Options for “%(title)s”") % {"title": title},
            "text": _("Renamed to “%(title)s”.") % {"title": title},
        }
    )


@login_required
@require_POST
def delete(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    sending.delete_conversation(conversation=own_conversation(request, conversation_id), now=timezone.now())
    messages.success(request, _("The conversation is deleted."))
    return redirect("chat")


@login_required
@require_POST
def change_folder(request: HttpRequest, folder_id: uuid.UUID) -> HttpResponse:
    """Rename a folder, or take it apart: its conversations stay, outside of it."""
    folder = get_object_or_404(Folder, pk=folder_id, user=person(request))
    if "delete" in request.POST:
        folder.delete()
        messages.success(request, _("The folder is gone; its conversations are in the list."))
        return redirect("collection")
    try:
        collection.rename_folder(folder=folder, name=request.POST.get("name", ""))
    except collection.BadFolder:
        messages.error(request, _("A folder needs a name of its own, with at most 60 characters."))
    return redirect(f"{reverse('collection')}?folder={folder.pk}")
