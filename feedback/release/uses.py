"""What was done with releases: models that learnt from them, how they opened, and who took their files."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import new_id
from feedback.release.models import Release


class TrainedModelQuerySet(models.QuerySet["TrainedModel"]):
    def of(self, release: Release) -> Self:
        """Those that learnt from its rows: from it, from one that it takes the place of, or one that took its place."""
        origin = release.origin
        learnt = self.filter(Q(release=origin) | Q(release__lineage=origin))
        return learnt.select_related("release").order_by("model_version", "release__version")


class TrainedModel(models.Model):
    """A model version that learnt from a release, so that it is known when it has learnt from words since withdrawn."""

    model_version = models.CharField(max_length=120)
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="trained_models")
    trained_at = models.DateTimeField(default=timezone.now)
    erased_rows = models.PositiveIntegerField(default=0)
    retrain_since = models.DateTimeField(null=True, blank=True)

    objects = TrainedModelQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model_version", "release"], name="trained_model_once")]

    def __str__(self) -> str:
        return self.model_version


class LoadCheck(models.Model):
    """Whether a release opens with `datasets`: what came of it when somebody asked last."""

    release = models.OneToOneField(Release, primary_key=True, on_delete=models.CASCADE, related_name="load_check")
    asked_at = models.DateTimeField()
    # Nothing where it is still to be done.
    checked_at = models.DateTimeField(null=True, blank=True)
    rows = models.JSONField(default=dict, help_text="By config and split, as they were opened.")
    error = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.error or str(self.rows)


class ReleaseDownload(models.Model):
    """Somebody took a file of a release."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="downloads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    path = models.CharField(max_length=200)
    address = models.GenericIPAddressField(null=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["release", "-at"], name="downloads_of_release")]

    def __str__(self) -> str:
        return self.path
