"""Staff's view of money: plans can be edited, Stripe's objects only looked at, dead letters replayed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from billing import commands, doubles, mirror, reconciliation, stripe, subscriptions, waking
from billing.models import (
    Customer,
    EntitlementChange,
    Invoice,
    Plan,
    PlanRevision,
    Price,
    StripeCommand,
    StripeEvent,
    Subscription,
    Team,
)
from billing.money import money


class ReadOnly:
    """Rows whose truth is elsewhere: nobody edits them here."""

    def has_add_permission(self, _request: HttpRequest, *_args: Any) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        return False


class PriceInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Price
    extra = 0
    fields = ["interval", "currency", "unit_amount", "is_offered"]


class RevisionInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = PlanRevision
    extra = 0
    fields = ["number", "changed_at", "changed_by", "what_changed"]
    readonly_fields = ["what_changed"]

    @admin.display(description=_("what changed"))
    def what_changed(self, revision: PlanRevision) -> str:
        lines = [(name, _said(name, then), _said(name, now)) for name, then, now in revision.changes()]
        return format_html_join("", "<div>{}: {} → {}</div>", lines) or "–"


def _said(name: str, value: Any) -> str:
    """A value of a plan's history as staff read it; that of a price, whose name ends with its currency."""
    if isinstance(value, dict):
        text = money(value["unit_amount"], name.rpartition("_")[2])
        return text if value["is_offered"] else _("%(price)s, not offered") % {"price": text}
    return "–" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "key", "messages_per_window", "window", "tokens_per_month", "is_offered", "version"]
    inlines = [PriceInline, RevisionInline]

    def has_delete_permission(self, request: HttpRequest, obj: Plan | None = None) -> bool:
        """People have them, and without Free nobody could do anything: not offered is what a plan can be."""
        return False

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The history has the prices too, which are saved after the plan."""
        super().save_related(request, form, formsets, change)
        form.instance.revise(by=str(request.user))

    def response_change(self, request: HttpRequest, obj: Plan) -> Any:
        self.message_user(request, _("Run “manage.py sync_plans” to push changed prices to Stripe."), messages.INFO)
        return super().response_change(request, obj)


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["type", "object_id", "state", "attempts", "received_at", "source", "error"]
    list_filter = ["state", "source", "type"]
    search_fields = ["stripe_id", "object_id"]
    exclude = ["body"]
    actions = ["replay"]

    @admin.action(description=_("Process again"), permissions=["view"])
    def replay(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> None:
        now = timezone.now()
        for event in queryset:
            event.replay(now=now)
        waking.wake()
        count = queryset.count()
        self.message_user(request, ngettext("%d event waits again.", "%d events wait again.", count) % count)


@admin.register(StripeCommand)
class StripeCommandAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["kind", "user", "state", "attempts", "created_at", "error_code", "error"]
    list_filter = ["state", "kind"]
    search_fields = ["key", "user__email"]
    actions = ["replay"]

    @admin.action(description=_("Ask Stripe again"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[StripeCommand]) -> None:
        count = commands.replay(queryset, now=timezone.now())
        left = queryset.count() - count
        waits = ngettext("%d command waits again.", "%d commands wait again.", count) % count
        self.message_user(request, waits)
        if left:
            text = _("%d stay as they are: done or waiting, replaced by a newer wish, or wanted by nobody any more.")
            self.message_user(request, text % left, messages.WARNING)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """It may cost somebody money."""
        return bool(getattr(request.user, "is_superuser", False))


@admin.register(Customer)
class CustomerAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["stripe_id", "user", "currency", "trial_used_at", "is_deleted"]
    search_fields = ["stripe_id", "user__email"]


class SeveralFilter(admin.SimpleListFilter):
    """Those whose customer pays for more than one."""

    title = _("number of plans")
    parameter_name = "several"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("one of several that one person pays for"))]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        return queryset.filter(pk__in=doubles.of_several().values("pk")) if self.value() else queryset


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["stripe_id", "customer", "plan", "status", "period_end", "cancels_at", "past_due_since"]
    list_filter = ["status", SeveralFilter, "plan"]
    search_fields = ["stripe_id", "customer__user__email"]
    actions = ["refresh", "reconcile"]

    @admin.action(description=_("Fetch from Stripe"), permissions=["view"])
    def refresh(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        for row in queryset:
            try:
                mirror.refresh_subscription(row.stripe_id, cause=f"fetched by {request.user}", now=timezone.now())
            except (stripe.StripeUnavailable, stripe.StripeRefused) as problem:
                self.message_user(request, f"{row.stripe_id}: {problem}", messages.ERROR)

    @admin.action(description=_("Compare everything with Stripe and repair"), permissions=["view"])
    def reconcile(self, request: HttpRequest, _queryset: QuerySet[Subscription]) -> None:
        found = reconciliation.by_kind(reconciliation.reconcile(now=timezone.now()))
        seconds = found.pop(reconciliation.SECOND, 0)
        text = ", ".join(f"{kind}: {count}" for kind, count in sorted(found.items()))
        self.message_user(request, text or _("Nothing differs."))
        if seconds:
            text = ngettext(
                "%d plan is paid for beside another of the same person. Decide which of them ends: see the filter.",
                "%d plans are paid for beside others of the same person. Decide which of them end: see the filter.",
                seconds,
            )
            self.message_user(request, text % seconds, messages.WARNING)


REFUND_PROBLEMS = {
    "not_paid": _("Nothing was paid for it."),
    "busy": _("Something else is being done with its subscription. Try again in a minute or two."),
    "charge_disputed": _("The payer has gone to the bank about it, which decides."),
}


@admin.register(Invoice)
class InvoiceAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["number", "customer", "status", "amount", "refunded", "refund_failure", "created_at"]
    list_filter = ["status", "refund_failure", "currency"]
    search_fields = ["number", "stripe_id", "customer__user__email"]
    actions = ["refund"]

    @admin.action(description=_("Refund in full; the plan ends"), permissions=["refund"])
    def refund(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> None:
        for invoice in queryset:
            subscription = Subscription.objects.filter(pk=invoice.subscription_id).first()
            if subscription is None:
                continue
            try:
                subscriptions.refund(
                    invoice_id=invoice.stripe_id,
                    subscription=subscription,
                    why=f"by {request.user}",
                    now=timezone.now(),
                )
            except (subscriptions.CannotChange, stripe.StripeUnavailable, stripe.StripeRefused) as problem:
                text = REFUND_PROBLEMS.get(str(problem), str(problem))
                self.message_user(request, f"{invoice}: {text}", messages.ERROR)
            else:
                text = _("%s is refunded. Should the bank not take it, this list says so.") % invoice
                self.message_user(request, text)

    @admin.display(description=_("amount"), ordering="total")
    def amount(self, invoice: Invoice) -> str:
        return money(invoice.total, invoice.currency)

    @admin.display(description=_("refunded"), ordering="amount_refunded")
    def refunded(self, invoice: Invoice) -> str:
        return money(invoice.amount_refunded, invoice.currency) if invoice.amount_refunded else "–"

    def has_refund_permission(self, request: HttpRequest) -> bool:
        return bool(getattr(request.user, "is_superuser", False))


@admin.register(EntitlementChange)
class EntitlementChangeAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["changed_at", "user", "from_plan", "to_plan", "cause"]
    list_filter = ["to_plan"]
    search_fields = ["user__email", "cause"]


@admin.register(Team)
class TeamAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "owner", "created_at"]
    search_fields = ["name", "owner__email"]
