"""Read-only views of the loop for the admin: what was thought of a reply, and never whose it is or what it says.

Texts are read by review, with the consent that is in force at that moment.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from feedback import releasing
from feedback.models import FeedbackEvent, ImplicitSignal, Rating, Release, ReviewDecision
from feedback.models.ratings import ADJUDICATE
from feedback.release import verify
from feedback.release.models import MAY_RELEASE


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

    @admin.display(description=_("made by"))
    def made_by(self, event: FeedbackEvent) -> str:
        """Of the snapshot what is about the model: not which messages it was about, nor what their texts hash to."""
        return json.dumps({name: event.snapshot.get(name) for name in ("model", "model_version", "sampling", "seed")})


@admin.register(Rating)
class RatingAdmin(ReadOnly):
    """The verdict is for those who adjudicate: a reader who looks one up knows a gold item, and the answer to it."""

    list_display = ["rated_at", "value", "reasons", "verdict"]
    fields = ["rated_at", "value", "reasons", "verdict"]  # the comment is read in review
    list_filter = ["value", "verdict"]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return self._shown(request, super().get_list_display(request))

    def get_fields(self, request: HttpRequest, obj: object = None) -> list[Any]:
        return self._shown(request, super().get_fields(request, obj))

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return self._shown(request, super().get_list_filter(request))

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        if request is None or lookup.partition("__")[0] not in self._shown(request, ["pk", "id", *self.list_display]):
            return False
        return super().lookup_allowed(lookup, value, request)

    def _shown(self, request: HttpRequest, names: Iterable[Any]) -> list[Any]:
        return [name for name in names if name != "verdict" or request.user.has_perm(ADJUDICATE)]


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
    """Releases with how far they are. Making one, and its files, are on their own page, which each row leads to."""

    list_display = ["name", "state", "progress", "rows_done", "created_at", "finished_at"]
    list_filter = ["state", "is_dry_run"]
    readonly_fields = ["progress"]
    actions = ["cancel", "retry", "verify", "check_loading"]

    class Media:
        js = (Script("feedback/admin_progress.js", type="module"),)

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_RELEASE)

    def view_on_site(self, release: Release) -> str:
        return reverse("releases") if release.is_dry_run else reverse("release", args=[release.pk])

    @admin.display(description=pgettext_lazy("of a thing", "name"))
    def name(self, release: Release) -> str:
        return release.name

    @admin.display(description=_("Progress"))
    def progress(self, release: Release) -> str:
        """The stage and how much of it is done; what went wrong where something did."""
        found = releasing.progress(release)
        if found is None:
            return release.error
        bar = format_html('<progress value="{}" max="{}"></progress>', found.done, found.steps or 1)
        return format_html("{} {} / {} {}", found.stage, found.done, found.steps, bar)

    @admin.action(description=_("Cancel what is being made"), permissions=["release"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Release]) -> None:
        refused = _("Not cancelled, as it is not being made or takes out what people withdrew: %(release)s.")
        done = _("Cancelled: %(release)s.")
        self._each(request, chosen, releasing.cancel, refused=refused, done=done)

    @admin.action(description=_("Try again what failed"), permissions=["release"])
    def retry(self, request: HttpRequest, chosen: QuerySet[Release]) -> None:
        refused = _("Nothing to try again, as it has not failed: %(release)s.")
        done = _("Goes on from the step that failed: %(release)s.")
        self._each(request, chosen, releasing.retry, refused=refused, done=done)

    @admin.action(description=_("Hold the files against the manifest"), permissions=["release"])
    def verify(self, request: HttpRequest, chosen: QuerySet[Release]) -> None:
        for release in chosen:
            if found := verify.problems(release):
                self.message_user(
                    request,
                    _("Not whole: %(release)s: %(why)s.") % {"release": release, "why": "; ".join(found)},
                    messages.ERROR,
                )
            else:
                self.message_user(request, _("Whole: %(release)s.") % {"release": release})

    @admin.action(description=_("Open the files with `datasets`"), permissions=["release"])
    def check_loading(self, request: HttpRequest, chosen: QuerySet[Release]) -> None:
        refused = _("Not opened, as it has no files: %(release)s.")
        done = _("Being opened, its page will say what came of it: %(release)s.")
        self._each(request, chosen, releasing.check_loading, refused=refused, done=done)

    def _each(
        self,
        request: HttpRequest,
        chosen: QuerySet[Release],
        change: Callable[..., object],
        *,
        refused: Any,
        done: Any,
    ) -> None:
        """Change each that can be changed now, and say of each what became of it, in texts that are translated late."""
        for release in chosen:
            try:
                change(release, now=timezone.now())
            except releasing.NotNow:
                self.message_user(request, refused % {"release": release}, messages.WARNING)
            else:
                self.message_user(request, done % {"release": release})
