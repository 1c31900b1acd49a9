"""What staff may do: roles as permission groups, made and kept up to date by `bootstrap`.

A role opens pages of ours by its permissions, and with them the same rows of the admin site for those marked staff.
Nobody can sign in as somebody else: there is no such page, and no permission for it.
"""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

VIEW_PEOPLE = (
    "accounts.view_user",
    "accounts.view_consentevent",
    "accounts.view_activityevent",
    "accounts.view_apikey",
)
VIEW_MONEY = (
    "billing.view_customer",
    "billing.view_subscription",
    "billing.view_invoice",
    "billing.view_entitlementchange",
)
ROLES: dict[str, tuple[str, ...]] = {
    "support": (*VIEW_PEOPLE, *VIEW_MONEY, "accounts.change_user", "accounts.read_conversations"),
    "reviewer": ("feedback.review", "feedback.view_rating"),
    "engineer": ("feedback.release", "feedback.view_release"),
    "billing": (
        *VIEW_PEOPLE,
        *VIEW_MONEY,
        "billing.view_plan",
        "billing.change_plan",
        "billing.view_price",
        "billing.change_price",
        "billing.view_stripeevent",
        "billing.view_stripecommand",
    ),
}
EVERYTHING = "admin"


@transaction.atomic
def ensure() -> None:
    """Make the groups, and give each exactly its permissions; an operator's own groups are left alone."""
    for name, codes in ROLES.items():
        wanted = Q(pk__in=[])
        for code in codes:
            app, _dot, codename = code.partition(".")
            wanted |= Q(content_type__app_label=app, codename=codename)
        found = Permission.objects.filter(wanted)
        missing = set(codes) - {
            f"{p.content_type.app_label}.{p.codename}" for p in found.select_related("content_type")
        }
        if missing:
            raise LookupError(f"The role {name} names permissions that do not exist: {', '.join(sorted(missing))}")
        Group.objects.get_or_create(name=name)[0].permissions.set(found)
    Group.objects.get_or_create(name=EVERYTHING)[0].permissions.set(Permission.objects.all())
