"""Releases as JSON, for programs of those who may see them."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from accounts.models import ApiKey, User
from feedback.models import Release
from feedback.release import downloads


class SeesReleases(BasePermission):
    code = "not_a_reviewer"
    message = _("Only reviewers see releases.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        return cast(User, request.user).has_perm("feedback.review")


PERMISSIONS: list[Any] = [*cast(list[Any], api_settings.DEFAULT_PERMISSION_CLASSES), SeesReleases]


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    class Meta:
        model = Release
        fields = ["id", "version", "state", "created_at", "finished_at", "rows_done", "manifest_sha256"]


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


class NewestFirst(CursorPagination):
    ordering = ("-created_at", "-id")


class Releases(ListAPIView[Release]):
    """Releases that were made in earnest, newest first."""

    required_scope = ApiKey.Scope.RELEASES
    permission_classes = PERMISSIONS
    serializer_class = ReleaseSerializer
    pagination_class = NewestFirst

    def get_queryset(self) -> QuerySet[Release]:
        return Release.objects.filter(is_dry_run=False)


class OneRelease(APIView):
    required_scope = ApiKey.Scope.RELEASES
    permission_classes = PERMISSIONS

    @extend_schema(responses=ReleaseDetailSerializer)
    def get(self, request: Request, release_id: uuid.UUID) -> Response:
        """One release, with a link for each of its files once it is ready."""
        release = get_object_or_404(Release, pk=release_id, is_dry_run=False)
        is_ready = release.state == Release.State.SEALED
        files: Any = downloads.links(release, user=cast(User, request.user)) if is_ready else []
        shown = {**ReleaseSerializer(release).data, "files": FileSerializer(files, many=True).data}
        return Response(shown)
