"""Celery's way in: each task calls one function that could as well be called by hand."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from billing import (
    checkout,
    commands,
    draining,
    entitlements,
    mirror,
    quota,
    reconciliation,
    seats,
    stripe,
    trials,
    turns,
    waking,
    webhooks,
)

logger = logging.getLogger(__name__)


@shared_task
def process_events() -> int:
    """Wake-up for the event queue; also run by the clock, so that a lost wake-up costs seconds."""
    waking.answered()
    return draining.drain(now=timezone.now)


@shared_task
def run_commands() -> int:
    return commands.run_waiting(now=timezone.now()) if stripe.is_configured() else 0


@shared_task
def release_abandoned() -> int:
    """Give back what dead workers reserved; log plans that ended by the clock alone."""
    now = timezone.now()
    entitlements.record_changes_by_time(now=now)
    return quota.expire_abandoned(now=now)


@shared_task
def backfill_events() -> int:
    """Hourly: fetch events that never reached us."""
    if not stripe.is_configured():
        return 0
    found = webhooks.backfill(now=timezone.now())
    return draining.drain(now=timezone.now) if found else 0


@shared_task
def reconcile() -> int:
    """Nightly: compare every subscription and recent invoice with Stripe and repair what differs; forget old trials,
    what was used on seats in months that are over, and turns that lapsed, ask again for customers to be deleted, and
    tell Stripe who has chosen another language."""
    trials.forget_old(now=timezone.now())
    seats.forget_old(now=timezone.now())
    turns.forget_lapsed()
    commands.retry_deletions(now=timezone.now())
    checkout.tell_languages(now=timezone.now())
    if stripe.is_configured():
        mirror.decide_trials(now=timezone.now())
    found = reconciliation.reconcile(now=timezone.now()) if stripe.is_configured() else []
    repaired = [drift for drift in found if drift.kind != reconciliation.SECOND]
    if repaired:
        logger.warning("Reconciliation repaired what differed from Stripe: %s", reconciliation.by_kind(repaired))
    return len(found)
