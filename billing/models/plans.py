"""Plans and prices: data that staff edit, versioned, and pushed to Stripe by `manage.py sync_plans`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing.money import smallest_step

FREE = "free"
ANY_MODEL = "*"


def any_model() -> list[str]:
    return [ANY_MODEL]


class PlanQuerySet(models.QuerySet["Plan"]):
    def offered(self) -> PlanQuerySet:
        return self.filter(is_offered=True).order_by("position")


class Plan(models.Model):
    """What a person may use, and how it is sold. Limits act on the next message; a change is kept as a
    `PlanRevision`."""

    class Queue(models.TextChoices):
        PRO = "reply.pro", _("first")
        PLUS = "reply.plus", _("second")
        FREE = "reply.free", _("last")

    LIMITS = (
        "messages_per_window",
        "smaller_model_messages",
        "window",
        "tokens_per_month",
        "concurrent_replies",
        "context_tokens",
        "max_output_tokens",
        "model_names",
        "has_api_access",
        "priority",
        "queue",
    )
    TERMS = ("name", "position", "is_offered", "is_per_seat", "trial_days")

    key = models.SlugField(_("key"), primary_key=True, max_length=20)
    name = models.CharField(pgettext_lazy("of a thing", "name"), max_length=40)
    position = models.PositiveSmallIntegerField(
        _("position"), unique=True, help_text=_("The best plan has the highest.")
    )
    is_offered = models.BooleanField(_("offered"), default=True)
    is_per_seat = models.BooleanField(_("sold by the seat"), default=False)
    trial_days = models.PositiveSmallIntegerField(_("trial days"), default=0)
    messages_per_window = models.PositiveIntegerField(_("messages in a window"), validators=[MinValueValidator(1)])
    smaller_model_messages = models.PositiveIntegerField(
        _("more messages of the smaller model"),
        default=0,
        help_text=_("In a window whose messages are used up, and only where a smaller model is set up."),
    )
    window = models.DurationField(_("window"), default=timedelta(hours=3))
    tokens_per_month = models.PositiveBigIntegerField(_("tokens a month"), validators=[MinValueValidator(1)])
    concurrent_replies = models.PositiveSmallIntegerField(_("replies at once"), validators=[MinValueValidator(1)])
    context_tokens = models.PositiveIntegerField(_("context tokens"), default=8192)
    max_output_tokens = models.PositiveIntegerField(_("longest reply in tokens"), default=1024)
    model_names = ArrayField(models.CharField(max_length=120), verbose_name=_("models"), default=any_model)
    has_api_access = models.BooleanField(_("API access"), default=False)
    priority = models.PositiveSmallIntegerField(_("priority"), help_text=_("0 goes first."))
    queue = models.CharField(_("queue"), max_length=12, choices=Queue.choices)
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    stripe_product_id = models.CharField(max_length=64, blank=True, editable=False)

    objects = PlanQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        constraints = [
            models.CheckConstraint(name="plan_allows_a_message", condition=Q(messages_per_window__gt=0)),
            models.CheckConstraint(name="plan_allows_a_reply_at_a_time", condition=Q(concurrent_replies__gt=0)),
            models.CheckConstraint(name="plan_window_is_positive", condition=Q(window__gt=timedelta(0))),
            models.UniqueConstraint(
                fields=["stripe_product_id"], name="plan_has_its_own_product", condition=~Q(stripe_product_id="")
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_free(self) -> bool:
        return self.key == FREE

    @property
    def limits(self) -> dict[str, Any]:
        """The limits as JSON-ready values; the window in whole seconds."""
        values = {name: getattr(self, name) for name in self.LIMITS}
        return {**values, "window": int(self.window.total_seconds())}

    @transaction.atomic
    def revise(self, *, by: str) -> None:
        """Keep what the plan and its prices say now, after they were saved, as the next version."""
        current = Plan.objects.select_for_update().get(pk=self.pk)
        self.version = current.version + 1 if current.revisions.exists() else current.version
        self.save(update_fields=["version"])
        PlanRevision.objects.create(
            plan=self,
            number=self.version,
            limits=self.limits,
            terms={name: getattr(self, name) for name in self.TERMS},
            prices={price.lookup_key: price.terms for price in self.prices.all()},
            changed_by=by,
        )


class PlanRevision(models.Model):
    """One version of a plan, as it was: its limits, how it was sold, and its prices by their lookup keys."""

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    limits = models.JSONField()
    terms = models.JSONField(default=dict)
    prices = models.JSONField(default=dict)
    changed_by = models.CharField(max_length=254)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("plan revision")
        verbose_name_plural = _("plan revisions")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["plan", "number"], name="plan_revision_numbered_once")]

    def __str__(self) -> str:
        return f"{self.plan_id} v{self.number}"

    @property
    def before(self) -> PlanRevision | None:
        return PlanRevision.objects.filter(plan_id=self.plan_id, number__lt=self.number).first()

    def changes(self) -> list[tuple[str, Any, Any]]:
        """What is otherwise than in the version before: (name, then, now), with None for what is not there."""
        before = self.before
        return _differences(before.everything, self.everything) if before else []

    @property
    def everything(self) -> dict[str, Any]:
        return {**self.terms, **self.limits, **self.prices}


def _differences(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    names = [*after, *(name for name in before if name not in after)]
    pairs = [(name, before.get(name), after.get(name)) for name in names]
    return [(name, then, now) for name, then, now in pairs if then != now]


class PriceQuerySet(models.QuerySet["Price"]):
    def offered(self) -> PriceQuerySet:
        return self.filter(is_offered=True, plan__is_offered=True).select_related("plan")


class Price(models.Model):
    """What a plan costs for a month or a year in one currency, in minor units (cents, fen)."""

    class Interval(models.TextChoices):
        MONTH = "month", _("monthly")
        YEAR = "year", _("yearly")

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="prices")
    interval = models.CharField(_("interval"), max_length=5, choices=Interval.choices)
    currency = models.CharField(_("currency"), max_length=3, help_text=_("Three small letters, such as usd."))
    unit_amount = models.PositiveBigIntegerField(_("amount"), help_text=_("In minor units: 2000 is 20.00 US dollars."))
    is_offered = models.BooleanField(_("offered"), default=True)
    stripe_price_id = models.CharField(max_length=64, blank=True, editable=False)
    stripe_unit_amount = models.PositiveBigIntegerField(null=True, editable=False)

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering = ["plan", "interval", "currency"]
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        constraints = [
            models.UniqueConstraint(fields=["plan", "interval", "currency"], name="price_set_once"),
            models.CheckConstraint(name="price_is_positive", condition=Q(unit_amount__gt=0)),
            models.CheckConstraint(name="price_currency_in_small_letters", condition=Q(currency__regex="^[a-z]{3}$")),
            models.UniqueConstraint(
                fields=["stripe_price_id"], name="price_has_its_own_id", condition=~Q(stripe_price_id="")
            ),
        ]

    def __str__(self) -> str:
        return self.lookup_key

    def clean(self) -> None:
        if self.plan_id == FREE:
            raise ValidationError(_("The free plan has no price."))
        step = smallest_step(self.currency)
        if self.unit_amount and self.unit_amount % step:
            text = _("In %(currency)s an amount is a multiple of %(step)s, or no card can be charged.")
            raise ValidationError({"unit_amount": text % {"currency": self.currency.upper(), "step": step}})

    @property
    def lookup_key(self) -> str:
        """The name both sides know this price by, whatever its id at Stripe."""
        return f"{self.plan_id}_{self.interval}_{self.currency}"

    @property
    def terms(self) -> dict[str, Any]:
        return {"unit_amount": self.unit_amount, "is_offered": self.is_offered}
