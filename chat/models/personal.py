"""What a person has set up for all their conversations."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import new_id

LONGEST_INSTRUCTIONS = 1500
LONGEST_PROMPT = 8000


class Instructions(models.Model):
    """What the model is told at the start of each of a person's conversations."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="instructions"
    )
    about = models.TextField(_("about you"), max_length=LONGEST_INSTRUCTIONS, blank=True)
    manner = models.TextField(_("how to reply"), max_length=LONGEST_INSTRUCTIONS, blank=True)
    is_on = models.BooleanField(_("use them in new messages"), default=True)
    asks_first = models.BooleanField(_("ask first when my request is unclear"), default=False)

    class Meta:
        verbose_name = _("instructions")
        verbose_name_plural = _("instructions")

    def __str__(self) -> str:
        return f"instructions of {self.user_id}"


class SavedPrompt(models.Model):
    """A prompt a person keeps by name; `{{word}}` in it is asked for when it is used."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_prompts")
    name = models.CharField(pgettext_lazy("of a thing", "name"), max_length=40)
    text = models.TextField(_("text"), max_length=LONGEST_PROMPT)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("saved prompt")
        verbose_name_plural = _("saved prompts")
        constraints = [models.UniqueConstraint(F("user"), Lower("name"), name="saved_prompt_named_once")]

    def __str__(self) -> str:
        return self.name
