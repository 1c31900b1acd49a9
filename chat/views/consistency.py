"""Asking again in other words: the wordings, the answers side by side, and where they agree and differ."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from billing.entitlements import entitlement_of
from billing.quota import QuotaExceeded, allowance_of
from chat.consistency import asking, rewording, showing
from chat.consistency.asking import BadWordings, Refusal
from chat.models import MAX_MESSAGE_CHARACTERS, ConsistencyCheck, Message
from chat.sending import BadMessage
from chat.views.requests import is_fetch, own_conversation, person


@login_required
@require_POST
def begin(request: HttpRequest, conversation_id: uuid.UUID, message_id: uuid.UUID) -> HttpResponse:
    """A draft, whose page shows the wordings before any is asked."""
    shown = own_conversation(request, conversation_id)
    message = get_object_or_404(Message.objects.select_related("reply"), pk=message_id, conversation=shown)
    try:
        check = asking.begin(message=message, now=timezone.now())
    except ObjectDoesNotExist as gone:
        raise Http404 from gone
    except BadMessage as refusal:
        messages.error(request, str(refusal))
        return redirect("conversation", conversation_id)
    return redirect("consistency-check", check.pk)


@login_required
@require_GET
def check(request: HttpRequest, check_id: uuid.UUID) -> HttpResponse:
    """The page; for its own script, the part of it that changes."""
    shown = asking.with_wordings(_own(request, check_id), now=timezone.now())
    return _page(request, shown)


@login_required
@require_POST
def ask(request: HttpRequest, check_id: uuid.UUID) -> HttpResponse:
    """Have the wordings answered. What is refused comes back with its reason, as it was written."""
    shown = _own(request, check_id)
    texts = request.POST.getlist("wording")[:10]
    try:
        asking.ask(
            user=person(request), check=shown, texts=texts, is_anyway="anyway" in request.POST, now=timezone.now()
        )
    except ObjectDoesNotExist as gone:
        raise Http404 from gone
    except BadWordings as refused:
        return _page(request, shown, texts=texts, refusals=refused.refusals, status=400)
    except BadMessage as refusal:
        return _page(request, shown, texts=texts, notice=str(refusal), status=400)
    except QuotaExceeded as wall:
        return _page(request, shown, texts=texts, wall=wall, status=429)
    return redirect("consistency-check", check_id)


@login_required
@require_POST
def stop(request: HttpRequest, check_id: uuid.UUID) -> HttpResponse:
    """Stop the answers that are being written and give those up that wait."""
    asking.stop(check=_own(request, check_id), now=timezone.now())
    return redirect("consistency-check", check_id)


@login_required
@require_POST
def remove(request: HttpRequest, check_id: uuid.UUID) -> HttpResponse:
    """Erase a check with its answers; the reply that it is about stays."""
    shown = _own(request, check_id)
    try:
        asking.remove(check=shown, now=timezone.now())
    except ObjectDoesNotExist as gone:
        raise Http404 from gone
    except asking.BeingWritten:
        messages.error(request, _("An answer is still being written. Stop it first."))
        return redirect("consistency-check", check_id)
    return redirect("conversation", shown.reply.conversation_id)


@login_required
@require_GET
def answer(request: HttpRequest, check_id: uuid.UUID, number: int) -> HttpResponse:
    """One answer as a fragment: what the page shows in its place when it has ended."""
    shown = _own(request, check_id)
    found = next((one for one in showing.answers(shown) if one.number == number), None)
    if found is None:
        return HttpResponse(status=404)
    return render(request, "chat/consistency/answer.html", {"check": shown, "answer": found})


def _own(request: HttpRequest, check_id: uuid.UUID) -> ConsistencyCheck:
    """The person's check; raises `Http404` for anybody else's and for those of deleted conversations."""
    own = ConsistencyCheck.objects.of(person(request)).select_related("reply__conversation", "reply__parent")
    return get_object_or_404(own, pk=check_id)


def _page(request: HttpRequest, shown: ConsistencyCheck, *, status: int = 200, **more: Any) -> HttpResponse:
    part = _draft(request, shown, **more) if shown.is_draft else _asked(shown)
    context = {"check": shown, "conversation": shown.reply.conversation, "reply_message": shown.reply, **part}
    template = "chat/consistency/body.html" if is_fetch(request) else "chat/consistency/check.html"
    return render(request, template, context, status=status)


def _draft(
    request: HttpRequest,
    shown: ConsistencyCheck,
    *,
    texts: Sequence[str] | None = None,
    refusals: Sequence[Refusal] = (),
    notice: str = "",
    wall: QuotaExceeded | None = None,
) -> dict[str, Any]:
    now = timezone.now()
    most = asking.most_wordings(entitlement_of(person(request), now=now))
    wordings = list(shown.wordings.all())[:most]
    written = list(texts) if texts is not None else [wording.text for wording in wordings]
    makers = {rewording.normal(wording.text): showing.maker_text(wording) for wording in wordings}
    reasons = {refusal.position: refusal.text for refusal in refusals}
    fields = [
        {
            "number": number,
            "text": text,
            "made": makers.get(rewording.normal(text), "") if text else "",
            "refusal": reasons.get(number, ""),
        }
        for number, text in enumerate((written + [""] * most)[: max(most, len(written))], start=1)
    ]
    return {
        "state": "ready" if shown.proposed_at or texts is not None else "proposing",
        "fields": fields,
        "most": most,
        "may_be_asked_anyway": bool(refusals) and all(refusal.may_be_asked_anyway for refusal in refusals),
        "notice": notice,
        "wall": wall,
        "allowance": allowance_of(person(request), now=now),
        "max_characters": MAX_MESSAGE_CHARACTERS,
    }


def _asked(shown: ConsistencyCheck) -> dict[str, Any]:
    lines = showing.lines(shown)
    return {
        "state": "measured" if shown.is_measured else "asked",
        "answers": showing.answers(shown),
        "lines": lines,
        "summary": showing.summary(shown, lines),
        "earlier": ConsistencyCheck.objects.filter(reply=shown.reply_id, asked_at__isnull=False)
        .exclude(pk=shown.pk)
        .order_by("-asked_at"),
    }
