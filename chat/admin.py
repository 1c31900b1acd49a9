"""Measures for the admin, without the words of anybody: conversations are read with a reason, on their own page."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.admin import ReadOnlyAdmin
from chat.models import ConsistencyCheck


@admin.register(ConsistencyCheck)
class ConsistencyCheckAdmin(ReadOnlyAdmin):
    list_display = ["asked_at", "model_version", "agreement", "agreeing", "compared", "contradictions", "used_meaning"]
    list_filter = ["measured_at", "used_meaning", "reply__reply__model_version"]
    list_select_related = ["reply__reply"]
    fields = [
        "created_at", "asked_at", "measured_at", "agreement", "agreeing", "compared", "contradictions", "used_meaning",
    ]  # fmt: skip

    @admin.display(description=_("model version"), ordering="reply__reply__model_version")
    def model_version(self, check: ConsistencyCheck) -> str:
        return check.reply.reply.model_version
