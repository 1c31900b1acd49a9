"""Releases as JSON, for whoever trains: with a key that has the scope `releases`, of a person who may make them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.generics import ListAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from accounts.api_pages import NewestFirst
from accounts.models import ApiKey, User
from feedback import releasing
from feedback.models import LoadCheck, Release
from feedback.release import downloads, verify
from feedback.release.freezing import NothingToRelease
from feedback.release.models import MAY_RELEASE
from feedback.release.specification import BadSpecification, specification


class SeesReleases(BasePermission):
    code = "may_not_release"
    message = _("Only those who may make releases see them.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        return cast(User, request.user).has_perm(MAY_RELEASE)


PERMISSIONS: list[Any] = [*cast(list[Any], api_settings.DEFAULT_PERMISSION_CLASSES), SeesReleases]


class NotNow(APIException):
    status_code = status.HTTP_409_CONFLICT
    default_code = "not_now"


class ReleaseThrottle(UserRateThrottle):
    scope = "releases"
    rate = "60/min"


class VerifyThrottle(UserRateThrottle):
    """All files are read for each."""

    scope = "verify"
    rate = "6/min"


class ReleaseWishSerializer(serializers.Serializer[Any]):
    specification = serializers.DictField(default=dict, help_text="Choices of feedback/release/specification.py.")
    dry_run = serializers.BooleanField(default=False, help_text="Only count what would be in it.")


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    progress = serializers.SerializerMethodField(help_text="Stage, and steps of it that are done, while it is made.")

    class Meta:
        model = Release
        fields = [
            *("id", "name", "version", "is_dry_run", "state", "specification", "counts", "progress", "rows_done"),
            *("content_sha256", "manifest_sha256", "error", "created_at", "finished_at"),
        ]

    def get_progress(self, release: Release) -> dict[str, Any] | None:
        progress = releasing.progress(release)
        return {"stage": progress.stage, "done": progress.done, "steps": progress.steps} if progress else None


class FileSerializer(serializers.Serializer[downloads.Link]):
    path = serializers.CharField()
    url = serializers.SerializerMethodField(help_text="Good for an hour, and written down when used.")
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField()

    def get_url(self, link: downloads.Link) -> str:
        return f"{settings.SITE_URL}{link.url}"


class ReleaseDetailSerializer(ReleaseSerializer):
    files = FileSerializer(many=True, read_only=True)

    class Meta(ReleaseSerializer.Meta):
        fields = [*ReleaseSerializer.Meta.fields, "files"]


class FilterSerializer(serializers.Serializer[Any]):
    """What of the releases: all that is asked for must hold."""

    state = serializers.ChoiceField(choices=Release.State.choices, allow_null=True, default=None)
    created_after = serializers.DateTimeField(allow_null=True, default=None, help_text="Only those made since.")


class Releases(ListAPIView[Release]):
    """Releases that were made in earnest, newest first; POST makes one."""

    throttle_classes = [ReleaseThrottle]

    required_scope = ApiKey.Scope.RELEASES
    permission_classes = PERMISSIONS
    serializer_class = ReleaseSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Release]:
        found = Release.objects.filter(is_dry_run=False)
        if getattr(self, "swagger_fake_view", False):
            return found
        wish = FilterSerializer(data=self.request.query_params)
        wish.is_valid(raise_exception=True)
        wanted = {"state": wish.validated_data["state"], "created_at__gt": wish.validated_data["created_after"]}
        return found.filter(**{name: value for name, value in wanted.items() if value is not None})

    @extend_schema(parameters=[FilterSerializer])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Releases that were made in earnest, newest first."""
        return super().get(request, *args, **kwargs)

    @extend_schema(request=ReleaseWishSerializer, responses={201: ReleaseSerializer, 200: ReleaseSerializer})
    def post(self, request: Request) -> Response:
        """Make a release, or count what would be in it. The same wish over the same ratings is the same one (200)."""
        wish = ReleaseWishSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        try:
            frozen = releasing.make_release(
                specification=specification(wish.validated_data["specification"]),
                made_by=cast(User, request.user),
                now=timezone.now(),
                is_dry_run=wish.validated_data["dry_run"],
            )
        except BadSpecification as bad:
            raise serializers.ValidationError({"specification": [str(bad)]}) from bad
        except NothingToRelease as nothing:
            raise NotNow(str(nothing)) from nothing
        code = status.HTTP_201_CREATED if frozen.is_new else status.HTTP_200_OK
        return Response(ReleaseSerializer(frozen.release).data, status=code)


class OneRelease(APIView):
    required_scope = ApiKey.Scope.RELEASES
    permission_classes = PERMISSIONS

    @extend_schema(responses=ReleaseDetailSerializer)
    def get(self, request: Request, release_id: uuid.UUID) -> Response:
        """One release, with a link for each of its files once it is ready."""
        release = get_object_or_404(Release, pk=release_id)
        is_ready = release.state == Release.State.SEALED and not release.is_dry_run
        files: Any = downloads.links(release, user=cast(User, request.user)) if is_ready else []
        shown = {**ReleaseSerializer(release).data, "files": FileSerializer(files, many=True).data}
        return Response(shown)


class VerdictSerializer(serializers.Serializer[Any]):
    is_whole = serializers.BooleanField()
    problems = serializers.ListField(child=serializers.CharField(), help_text="What is wrong, in English.")


class DifferenceSerializer(serializers.Serializer[Any]):
    config = serializers.CharField()
    added = serializers.IntegerField(help_text="Rows that the other has and this one has not.")
    removed = serializers.IntegerField(help_text="Rows that this one has and the other has not.")
    kept = serializers.IntegerField()


class OtherSerializer(serializers.Serializer[Any]):
    other = serializers.UUIDField(help_text="The release to hold this one against.")


class VerifyRelease(APIView):
    throttle_classes = [VerifyThrottle]

    required_scope = ApiKey.Scope.RELEASES
    permission_classes = PERMISSIONS

    @extend_schema(responses=VerdictSerializer)
    def get(self, request: Request, release_id: uuid.UUID) -> Response:
        """Read every file of a release and hold it against the manifest."""
        found = verify.problems(get_object_or_404(Release.objects.data_sets(), pk=release_id))
        return Response(VerdictSerializer({"is_whole": not found, "problems": found}).data)


class LoadCheckSerializer(serializers.ModelSerializer[LoadCheck]):
    class Meta:
        model = LoadCheck
        fields = ["asked_at", "checked_at", "rows", "error"]


class LoadRelease(APIView):
    throttle_classes = [VerifyThrottle]

    required_scope = ApiKey.Scope.RELEASES
    permission_classes = PERMISSIONS

    @extend_schema(request=None, responses={202: LoadCheckSerializer})
    def post(self, request: Request, release_id: uuid.UUID) -> Response:
        """Have a worker open every config of a release with `datasets`, and count its rows."""
        release = get_object_or_404(Release.objects.data_sets(), pk=release_id)
        try:
            asked = releasing.check_loading(release, now=timezone.now())
        except releasing.NotNow as refusal:
            raise NotNow(str(refusal)) from refusal
        return Response(LoadCheckSerializer(asked).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses=LoadCheckSerializer)
    def get(self, request: Request, release_id: uuid.UUID) -> Response:
        """What came of it; `checked_at` is null until a worker has done it."""
        asked = LoadCheck.objects.filter(release__is_dry_run=False)
        return Response(LoadCheckSerializer(get_object_or_404(asked, pk=release_id)).data)


class CompareReleases(APIView):
    throttle_classes = [ReleaseThrottle]

    required_scope = ApiKey.Scope.RELEASES
    permission_classes = PERMISSIONS

    @extend_schema(parameters=[OtherSerializer], responses=DifferenceSerializer(many=True))
    def get(self, request: Request, release_id: uuid.UUID) -> Response:
        """What changed from one release to another, config by config."""
        wish = OtherSerializer(data=request.query_params)
        wish.is_valid(raise_exception=True)
        old, new = (
            get_object_or_404(Release.objects.data_sets(), pk=one) for one in (release_id, wish.validated_data["other"])
        )
        for release in (old, new):
            if release.state not in Release.MADE:
                raise NotNow(f"{release.name} was not made to its end: it is {release.state}")
        return Response(DifferenceSerializer(verify.differences(old=old, new=new), many=True).data)


class RetryRelease(APIView):
    required_scope = ApiKey.Scope.RELEASES
    permission_classes = PERMISSIONS

    @extend_schema(request=None, responses=ReleaseSerializer)
    def post(self, request: Request, release_id: uuid.UUID) -> Response:
        """Go on with one that failed, from the step that did."""
        return _changed(release_id, releasing.retry)


class CancelRelease(APIView):
    required_scope = ApiKey.Scope.RELEASES
    permission_classes = PERMISSIONS

    @extend_schema(request=None, responses=ReleaseSerializer)
    def post(self, request: Request, release_id: uuid.UUID) -> Response:
        """Stop one that is being made."""
        return _changed(release_id, releasing.cancel)


def _changed(release_id: uuid.UUID, change: Callable[..., None]) -> Response:
    """The release after `change`; raises `NotNow` where it cannot be now."""
    release = get_object_or_404(Release, pk=release_id)
    try:
        change(release, now=timezone.now())
    except releasing.NotNow as refusal:
        raise NotNow(str(refusal)) from refusal
    release.refresh_from_db()
    return Response(ReleaseSerializer(release).data)
