"""The pages of releases: what was made, making one, following it, taking its files."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from accounts.sending_files import SentFile
from feedback import releasing
from feedback.forms import NOTHING, OtherReleaseForm, ReleaseForm
from feedback.release import downloads, funnel, verify
from feedback.release.freezing import Frozen, NothingToRelease
from feedback.release.models import MAY_RELEASE, Release
from feedback.release.uses import LoadCheck, TrainedModel

SHOWN = 50


@login_required
@permission_required(MAY_RELEASE, raise_exception=True)
@require_GET
def releases(request: HttpRequest) -> HttpResponse:
    return _page(request)


def _page(request: HttpRequest, *, wished: str = "", refusal: str = "") -> HttpResponse:
    """What was made, and the choices that were refused, if some were, with the reason."""
    made = list(Release.objects.data_sets()[:SHOWN])
    counted = Release.objects.filter(is_dry_run=True).first()
    context = {
        "releases": [(release, releasing.progress(release)) for release in made],
        "counted": counted,
        "counting": releasing.progress(counted) if counted else None,
        "funnel": funnel.labelled(counted.counts) if counted else [],
        "is_busy": any(release.is_unfinished for release in [*made, *([counted] if counted else [])]),
        "wished": wished,
        "refusal": refusal,
    }
    status = HTTPStatus.BAD_REQUEST if refusal else HTTPStatus.OK
    return render(request, "feedback/releases.html", context, status=status)


@login_required
@permission_required(MAY_RELEASE, raise_exception=True)
@require_GET
def release_detail(request: HttpRequest, release_id: uuid.UUID) -> HttpResponse:
    release = get_object_or_404(Release.objects.data_sets().select_related("parent", "made_by"), pk=release_id)
    is_sealed = release.state == Release.State.SEALED
    links = downloads.links(release, user=_person(request)) if is_sealed else []
    load_check = LoadCheck.objects.filter(release=release).first() if is_sealed else None
    context = {
        "release": release,
        "progress": releasing.progress(release),
        "funnel": funnel.labelled(release.counts),
        "links": links,
        "is_broken": is_sealed and not links,
        "taken": release.downloads.select_related("user").order_by("-at")[:SHOWN],
        "is_sealed": is_sealed,
        "trained": TrainedModel.objects.of(release),
        "others": OtherReleaseForm(release=release) if release.state in Release.MADE else None,
        "load_check": load_check,
        "is_busy": release.is_unfinished or (load_check is not None and load_check.checked_at is None),
        "successor": release.children.first(),
    }
    return render(request, "feedback/release.html", context)


@login_required
@permission_required(MAY_RELEASE, raise_exception=True)
@require_POST
def make_release(request: HttpRequest) -> HttpResponse:
    """Make a release, or with `dry_run` only count what would be in it; `specification` is JSON, or empty."""
    is_dry_run, form = "dry_run" in request.POST, ReleaseForm(request.POST)
    try:
        frozen = form.make(made_by=_person(request), now=timezone.now(), is_dry_run=is_dry_run)
    except NothingToRelease:
        messages.warning(request, NOTHING)
        return redirect("releases")
    if frozen is None:
        wished = request.POST.get("specification", "").strip()
        return _page(request, wished=wished, refusal=str(form.errors["specification"][0]))
    if is_dry_run:
        return redirect("releases")
    tell_if_known(request, frozen)
    return redirect("release", frozen.release.pk)


def tell_if_known(request: HttpRequest, frozen: Frozen) -> None:
    """That the release was there already, if it was."""
    if not frozen.is_new:
        messages.info(request, _("Nothing has changed since %(name)s: it is the same data.") % {"name": frozen.release})


@login_required
@permission_required(MAY_RELEASE, raise_exception=True)
@require_POST
def cancel_release(request: HttpRequest, release_id: uuid.UUID) -> HttpResponse:
    release = get_object_or_404(Release, pk=release_id)
    try:
        releasing.cancel(release, now=timezone.now())
    except releasing.NotNow:
        messages.info(request, _("It was finished already."))
    return redirect("releases") if release.is_dry_run else redirect("release", release.pk)


def _changed(
    request: HttpRequest, release_id: uuid.UUID, change: Callable[..., object], *, refusal: str
) -> HttpResponse:
    """The page of the release after `change`, or with the refusal where it cannot be now."""
    release = get_object_or_404(Release.objects.data_sets(), pk=release_id)
    try:
        change(release, now=timezone.now())
    except releasing.NotNow:
        messages.info(request, refusal)
    return redirect("release", release.pk)


@login_required
@permission_required(MAY_RELEASE, raise_exception=True)
@require_POST
def retry_release(request: HttpRequest, release_id: uuid.UUID) -> HttpResponse:
    return _changed(request, release_id, releasing.retry, refusal=_("There is nothing to try again."))


@login_required
@permission_required(MAY_RELEASE, raise_exception=True)
@require_POST
def load_release(request: HttpRequest, release_id: uuid.UUID) -> HttpResponse:
    return _changed(request, release_id, releasing.check_loading, refusal=_("There are no files to open."))


@login_required
@permission_required(MAY_RELEASE, raise_exception=True)
@require_POST
def verify_release(request: HttpRequest, release_id: uuid.UUID) -> HttpResponse:
    """Read every file, and say what came of it on the page of the release."""
    release = get_object_or_404(Release.objects.data_sets(), pk=release_id)
    tell_whether_whole(request, release)
    return redirect("release", release.pk)


def tell_whether_whole(request: HttpRequest, release: Release) -> None:
    """Whether each file of it is what its manifest says."""
    if found := verify.problems(release):
        messages.error(request, _("Not whole: %(release)s: %(why)s.") % {"release": release, "why": "; ".join(found)})
    else:
        messages.success(request, _("Whole: %(release)s.") % {"release": release})


@login_required
@permission_required(MAY_RELEASE, raise_exception=True)
@require_GET
def compare_releases(request: HttpRequest, release_id: uuid.UUID) -> HttpResponse:
    """What changed from this release to the one named by `other`."""
    release = get_object_or_404(Release.objects.made(), pk=release_id)
    form = OtherReleaseForm(request.GET, release=release)
    if not form.is_valid():
        raise Http404
    other = form.cleaned_data["other"]
    context = {
        "release": release,
        "other": other,
        "others": form,
        "differences": verify.differences(old=release, new=other),
    }
    return render(request, "feedback/release_differences.html", context)


@require_GET
def download(request: HttpRequest, token: str) -> HttpResponseBase:
    """One file by a signed link that expires; whoever holds it need not be signed in, as `curl` is not."""
    try:
        name, file = downloads.opened(token, address=request.META.get("REMOTE_ADDR") or None, now=timezone.now())
    except downloads.NoSuchFile as none:
        raise Http404 from none
    return SentFile(
        file,
        as_attachment=True,
        filename=name,
        content_type="application/octet-stream",
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"},
    )


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - login_required has let the request in
    return request.user
