"""A staff member reads a person's conversation: with a reason, and on the person's own record."""

from __future__ import annotations

import uuid
from typing import cast

from django import forms
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import activity
from accounts.models import ActivityEvent, User
from chat import tree
from chat.models import Conversation


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Why do you need to read it?"),
        min_length=10,
        max_length=200,
        help_text=_("The person sees this reason in the log of their account. Your name is kept with it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


@login_required
@permission_required("accounts.read_conversations", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def read_conversation(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """Asks for the reason every time; what was deleted or is temporary stays out of reach."""
    readable = Conversation.objects.filter(deleted_at=None, is_temporary=False).select_related("user")
    conversation = get_object_or_404(readable, pk=conversation_id)
    form = ReasonForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        context = {"form": form, "conversation_id": conversation_id}
        return render(request, "chat/support_reason.html", context, status=422 if form.errors else 200)
    activity.record(
        user=conversation.user,
        kind=ActivityEvent.Kind.STAFF_LOOKED,
        actor=cast(User, request.user),
        now=timezone.now(),
        detail=form.cleaned_data["reason"],
    )
    turns = [(turn.message.get_role_display(), turn.message.content) for turn in tree.current_path(conversation)]
    return render(request, "chat/support_conversation.html", {"conversation": conversation, "turns": turns})
