"""Settings: of one conversation, and of all of them with the prompts that a person keeps."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts import consent
from billing.entitlements import entitlement_of
from chat import choices, saved_prompts
from chat.forms import ChoicesForm, InstructionsForm, SavedPromptForm, TrainingConsentForm
from chat.models import Instructions, SavedPrompt
from chat.views.requests import is_fetch, own_conversation, person


@login_required
def chat_settings(request: HttpRequest, conversation_id: uuid.UUID) -> HttpResponse:
    """The settings of one conversation, and whether training may use it."""
    shown = own_conversation(request, conversation_id)
    user, now = person(request), timezone.now()
    given = request.POST if request.method == "POST" else None
    entitlement = entitlement_of(user, now=now)
    form = ChoicesForm(given, entitlement=entitlement, conversation=shown)
    consent_form = TrainingConsentForm.of(user, shown, given)
    forms = [form, consent_form] if consent_form else [form]
    page = {
        "conversation": shown,
        "is_temporary": shown.is_temporary,
        "choices_form": form,
        "consent_form": consent_form,
    }
    if given is None:
        return render(request, "chat/settings.html", page)
    if any(one.errors for one in forms):
        if is_fetch(request):
            text = " ".join(str(error) for one in forms for errors in one.errors.values() for error in errors)
            return JsonResponse({"error": {"message": text}}, status=400)
        return render(request, "chat/settings.html", page, status=400)
    with transaction.atomic():
        choices.save(shown, form.choices)
        if consent_form and consent_form.wish is not None:
            consent.say(user, is_granted=consent_form.wish, scope="conversation", subject_id=shown.pk, now=now)
    if is_fetch(request):
        return JsonResponse({"text": _("Saved. It acts from the next reply on.")})
    messages.success(request, _("Saved. It acts from the next reply on."))
    return redirect("conversation", shown.pk)


@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    """What the model is told at the start of every conversation, and the prompts the person keeps."""
    own = Instructions.objects.filter(user=person(request)).first() or Instructions(user=person(request))
    form = InstructionsForm(request.POST or None, instance=own)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved. It acts from the next reply on."))
        return redirect("chat-preferences")
    return _page(request, instructions_form=form)


@login_required
@require_POST
def save_prompt(request: HttpRequest, prompt_id: uuid.UUID | None = None) -> HttpResponse:
    """Keep a new prompt or change one; with `delete`, let it go."""
    if prompt_id and "delete" in request.POST:
        get_object_or_404(SavedPrompt, pk=prompt_id, user=person(request)).delete()
        messages.success(request, _("The prompt is deleted."))
        return redirect("chat-preferences")
    if prompt_id:
        get_object_or_404(SavedPrompt, pk=prompt_id, user=person(request))
    form = SavedPromptForm(request.POST)
    if not form.is_valid():
        return _page(request, prompt_form=form, status=400)
    try:
        saved_prompts.save(user=person(request), prompt_id=prompt_id, **form.cleaned_data)
    except saved_prompts.NameTaken:
        form.add_error("name", _("You have a prompt of this name, or 200 of them. Choose another name or delete one."))
        return _page(request, prompt_form=form, status=400)
    messages.success(request, _("The prompt is saved. Type / in an empty message to use it."))
    return redirect("chat-preferences")


@login_required
@require_GET
def prompts(request: HttpRequest) -> JsonResponse:
    """The person's prompts, for the `/` menu of the message box."""
    return JsonResponse(
        {
            "prompts": [
                {"name": prompt.name, "text": prompt.text, "variables": saved_prompts.variables(prompt.text)}
                for prompt in SavedPrompt.objects.filter(user=person(request)).order_by("name")
            ]
        }
    )


def _page(request: HttpRequest, *, status: int = 200, **forms: Any) -> HttpResponse:
    own = Instructions.objects.filter(user=person(request)).first() or Instructions(user=person(request))
    context = {
        "instructions_form": InstructionsForm(instance=own),
        "prompt_form": SavedPromptForm(),
        "prompts": SavedPrompt.objects.filter(user=person(request)).order_by("name"),
        **forms,
    }
    return render(request, "chat/preferences.html", context, status=status)
