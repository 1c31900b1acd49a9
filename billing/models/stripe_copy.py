"""Our copy of Stripe's objects.

Only `billing.mirror` writes here: it fetches an object afresh and saves it when the fetch began later than the one
already saved (`fence`). Amounts are in minor units.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from accounts.models import new_id


class Mirrored(models.Model):
    """A row whose truth is at Stripe. `fence` is the number drawn before the fetch that filled it."""

    fence = models.BigIntegerField(default=0, editable=False)
    fetched_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True


class Customer(Mirrored):
    """Who pays: one person here is one customer at Stripe. The person goes on erasure; the row stays for the books."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="customer"
    )
    stripe_id = models.CharField(max_length=64, unique=True)
    currency = models.CharField(max_length=3, blank=True)
    locale = models.CharField(max_length=20, blank=True)  # of the letters and bills that Stripe writes
    trial_used_at = models.DateTimeField(null=True, blank=True)
    is_deleted = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")

    def __str__(self) -> str:
        return self.stripe_id


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def open(self) -> SubscriptionQuerySet:
        """Those that can still be billed."""
        return self.filter(status__in=Subscription.OPEN)

    def paid_for(self) -> SubscriptionQuerySet:
        """Those that are open, and those that ended for a refund which never arrived."""
        unreturned = Invoice.objects.filter(subscription_id=OuterRef("pk"), period_end__gt=OuterRef("ended_at"))
        is_unreturned = Exists(unreturned.exclude(refund_failure=""))
        return self.filter(Q(status__in=Subscription.OPEN) | Q(is_unreturned, status=Subscription.Status.CANCELED))


class Subscription(Mirrored):
    """A customer's plan at Stripe, as last fetched."""

    class Status(models.TextChoices):
        INCOMPLETE = "incomplete", _("waiting for the first payment")
        INCOMPLETE_EXPIRED = "incomplete_expired", _("never paid")
        TRIALING = "trialing", _("trial")
        ACTIVE = "active", _("active")
        PAST_DUE = "past_due", _("payment failed")
        UNPAID = "unpaid", _("unpaid")
        PAUSED = "paused", _("paused")
        CANCELED = "canceled", _("ended")

    class TrialStanding(models.TextChoices):
        GIVEN = "given", _("given")
        REFUSED = "refused", _("refused: its card had one")

    OPEN = (Status.TRIALING, Status.ACTIVE, Status.PAST_DUE, Status.UNPAID, Status.PAUSED)

    stripe_id = models.CharField(primary_key=True, max_length=64)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="subscriptions")
    status = models.CharField(max_length=20, choices=Status.choices)
    plan = models.ForeignKey("billing.Plan", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    item_id = models.CharField(max_length=64, blank=True)
    price_id = models.CharField(max_length=64, blank=True)
    interval = models.CharField(max_length=5, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    unit_amount = models.BigIntegerField(default=0)
    quantity = models.PositiveIntegerField(default=1)
    started_at = models.DateTimeField()
    period_start = models.DateTimeField(null=True, blank=True)
    period_end = models.DateTimeField(null=True, blank=True)
    trial_end = models.DateTimeField(null=True, blank=True)
    trial_standing = models.CharField(_("trial"), max_length=7, choices=TrialStanding.choices, blank=True)
    cancels_at = models.DateTimeField(null=True, blank=True, help_text=_("When it will end, if it was cancelled."))
    ended_at = models.DateTimeField(null=True, blank=True)
    past_due_since = models.DateTimeField(null=True, blank=True)
    schedule_id = models.CharField(max_length=64, blank=True)
    next_price_id = models.CharField(max_length=64, blank=True)
    latest_invoice_id = models.CharField(max_length=64, blank=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        indexes = [models.Index(fields=["customer", "status"], name="subscription_of_customer")]
        constraints = [
            models.CheckConstraint(
                name="subscription_past_due_has_time",
                condition=~Q(status="past_due") | Q(past_due_since__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.stripe_id

    @property
    def is_trial_refused(self) -> bool:
        """Whether it is a trial that gives nothing, because its card had one before."""
        return self.status == self.Status.TRIALING and self.trial_standing == self.TrialStanding.REFUSED


class RefundFailure(models.TextChoices):
    """Stripe's own list; what it adds to it is shown as it says it."""

    LOST_OR_STOLEN = "lost_or_stolen_card", _("the card was lost or stolen")
    EXPIRED = "expired_or_canceled_card", _("the card has expired or was cancelled")
    DISPUTED = "charge_for_pending_refund_disputed", _("the payer went to the bank meanwhile")
    NO_FUNDS = "insufficient_funds", _("your Stripe balance was too low")
    DECLINED = "declined", _("the bank refused it")
    STOPPED = "merchant_request", _("it was stopped at Stripe")
    UNKNOWN = "unknown", _("the bank does not say why")


class Invoice(Mirrored):
    """A bill, as last fetched. Its page and PDF are asked for afresh when somebody opens them: their links expire."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("being prepared")
        OPEN = "open", _("to pay")
        PAID = "paid", _("paid")
        VOID = "void", _("void")
        UNCOLLECTIBLE = "uncollectible", _("written off")

    stripe_id = models.CharField(primary_key=True, max_length=64)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="invoices")
    subscription_id = models.CharField(max_length=64, blank=True)
    number = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=13, choices=Status.choices)
    billing_reason = models.CharField(max_length=40, blank=True)
    currency = models.CharField(max_length=3)
    total = models.BigIntegerField()
    amount_due = models.BigIntegerField()
    amount_paid = models.BigIntegerField()
    amount_refunded = models.BigIntegerField(default=0)
    is_disputed = models.BooleanField(default=False)
    refund_failure = models.CharField(
        max_length=60,
        blank=True,
        choices=RefundFailure.choices,
        help_text=_("Why the newest refund never arrived. The money is still here: refund it again."),
    )
    money_fence = models.BigIntegerField(default=0, editable=False)
    attempt_count = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    period_end = models.DateTimeField(null=True, blank=True, help_text=_("Until when it pays for the plan."))

    class Meta:
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
        ordering = ["-created_at", "-number"]  # two of one second are in the order of their numbers
        indexes = [
            models.Index(fields=["customer", "-created_at"], name="invoices_of_customer"),
            models.Index(fields=["subscription_id"], name="invoices_of_subscription"),
        ]

    def __str__(self) -> str:
        return self.number or self.stripe_id

    @property
    def is_partly_refunded(self) -> bool:
        """Whether some of the money went back, and some of it stayed."""
        return 0 < self.amount_refunded < self.amount_paid

    @property
    def is_given_back(self) -> bool:
        """Whether the money is with the payer again, all of it, or held by their bank."""
        return self.is_disputed or (self.amount_paid > 0 and self.amount_refunded >= self.amount_paid)


class TrialMemory(models.Model):
    """That a mailbox or a card had a trial, whatever became of the account: a keyed hash of it, and nothing else."""

    digest = models.CharField(primary_key=True, max_length=64)
    kept_since = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest
