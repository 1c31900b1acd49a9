"""Read-only views of the loop for the admin: what was thought of a reply, and never whose it is or what it says.

Texts are read by review, with the consent that is in force at that moment.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from feedback import releasing
from feedback.forms import NOTHING, ReleaseForm
from feedback.models import FeedbackEvent, ImplicitSignal, Rating, Release, ReviewDecision
from feedback.models.ratings import ADJUDICATE
from feedback.release import funnel
from feedback.release.freezing import NothingToRelease
from feedback.release.models import MAY_RELEASE
from feedback.release_views import tell_if_known, tell_whether_whole


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
    """Releases: making one or counting what would be in it, and how far each is. Its files are on its own page."""

    list_display = ["name", "state", "progress", "rows_done", "created_at", "finished_at"]
    list_filter = ["state", "is_dry_run"]
    fields = [
        *("version", "is_dry_run", "state", "progress", "funnel", "rows_done", "error"),
        *("made_by", "created_at", "enqueued_at", "finished_at", "specification", "agreement", "parent", "lineage"),
        *("specification_sha256", "membership_sha256", "content_sha256", "manifest_sha256", "horizon"),
    ]
    readonly_fields = ["progress", "funnel"]
    actions = ["cancel", "retry", "verify", "compare", "check_loading"]

    class Media:
        js = (Script("feedback/admin_progress.js", type="module"),)

    def has_release_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_RELEASE)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_release_permission(request)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Make a release, or with `dry_run` only count what would be in it; either shows its funnel afterwards."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form, counts, is_dry_run = ReleaseForm(request.POST or None), Counter[str](), "dry_run" in request.POST
        try:
            frozen = form.make(made_by=cast(User, request.user), now=timezone.now(), is_dry_run=is_dry_run)
        except NothingToRelease as nothing:
            self.message_user(request, NOTHING, messages.WARNING)
            frozen, counts = None, nothing.funnel
        if frozen:
            tell_if_known(request, frozen)
            if frozen.is_new:
                self.log_addition(request, frozen.release, [{"added": {}}])
            return redirect("admin:feedback_release_change", frozen.release.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Make a release"),
            "form": form,
            "counted": funnel.labelled(counts),
        }
        return TemplateResponse(request, "admin/feedback/release/add_form.html", context)

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
            return gettext(release.error) if release.error else ""
        bar = format_html('<progress value="{}" max="{}"></progress>', found.done, found.steps or 1)
        return format_html("{} {} / {} {}", found.stage, found.done, found.steps, bar)

    @admin.display(description=_("From ratings to rows"))
    def funnel(self, release: Release) -> str:
        return render_to_string("feedback/release_funnel.html", {"funnel": funnel.labelled(release.counts)})

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
            tell_whether_whole(request, release)

    @admin.action(description=_("Compare two"), permissions=["release"])
    def compare(self, request: HttpRequest, chosen: QuerySet[Release]) -> HttpResponse | None:
        made = list(Release.objects.made().filter(pk__in=chosen).order_by("version"))
        if len(made) != 2 or chosen.count() != 2:
            self.message_user(request, _("Choose two releases that were made to their end."), messages.WARNING)
            return None
        old, new = made
        return redirect(f"{reverse('compare-releases', args=[old.pk])}?other={new.pk}")

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
