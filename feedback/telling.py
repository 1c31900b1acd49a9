"""Tell people's own programs what became of ratings and releases, if they asked to be told."""

from __future__ import annotations

from datetime import datetime

from accounts.models import WebhookEndpoint
from accounts.webhooks import publishing
from feedback.models import Rating, Release
from feedback.release.models import MAY_RELEASE

Event = WebhookEndpoint.Event


def tell_of_release(release: Release, *, now: datetime) -> None:
    """Everybody who may take releases and asked; in the transaction that seals it."""
    data = {"release": str(release.pk), "version": release.version, "manifest_sha256": release.manifest_sha256}
    for user in publishing.people_wanting(Event.RELEASE_READY):
        if user.has_perm(MAY_RELEASE):
            publishing.publish(user_id=user.pk, event=Event.RELEASE_READY, subject=str(release.pk), data=data, now=now)


def tell_of_review(rating: Rating, *, now: datetime) -> None:
    """Its person, that enough readers have decided on the rating as it stands; not how."""
    publishing.publish(
        user_id=rating.user_id,
        event=Event.RATING_REVIEWED,
        subject=str(rating.event_id),
        data={"rating": str(rating.pk), "message": str(rating.message_id)},
        now=now,
    )
