"""Read-only views of the loop for the admin: what was thought of a reply, and never whose it is or what it says.

Texts are read by review, with the consent that is in force at that moment.
"""

import json

from django.contrib import admin
from django.http import HttpRequest

from feedback.models import FeedbackEvent, ImplicitSignal, Rating, Release, ReviewDecision


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Ratings change by rating, decisions by review: nothing here is edited by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(FeedbackEvent)
class FeedbackEventAdmin(ReadOnly):
    list_display = ["created_at", "kind", "value", "reasons", "locale"]
    fields = ["created_at", "kind", "value", "reasons", "locale", "had_consent", "made_by"]
    list_filter = ["kind", "value", "locale"]

    @admin.display(description="made by")
    def made_by(self, event: FeedbackEvent) -> str:
        """Of the snapshot what is about the model: not which messages it was about, nor what their texts hash to."""
        return json.dumps({name: event.snapshot.get(name) for name in ("model", "model_version", "sampling", "seed")})


@admin.register(Rating)
class RatingAdmin(ReadOnly):
    list_display = ["rated_at", "value", "reasons", "verdict"]
    fields = ["rated_at", "value", "reasons", "verdict"]  # the comment is read in review
    list_filter = ["value", "verdict"]


@admin.register(ReviewDecision)
class ReviewDecisionAdmin(ReadOnly):
    list_display = ["created_at", "verdict", "reviewer"]
    fields = ["created_at", "verdict", "reviewer", "grades", "tags", "drawn_by"]
    list_filter = ["verdict"]


@admin.register(ImplicitSignal)
class ImplicitSignalAdmin(ReadOnly):
    list_display = ["created_at", "kind", "since_end_ms"]
    fields = ["created_at", "kind", "since_end_ms"]
    list_filter = ["kind"]


@admin.register(Release)
class ReleaseAdmin(ReadOnly):
    list_display = ["name", "state", "rows_done", "created_at", "finished_at"]
    list_filter = ["state"]
