"""How many people read a rating before it is decided."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Permission
from django.db.models import Case, Exists, F, Func, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Greatest, Least

from accounts.models import User
from feedback.reasons import HARM


def who_may_review() -> QuerySet[User]:
    """Active people who were given the permission, by a role or alone.

    Superusers may review without it, and are not waited for: who runs a site need not read ratings.
    """
    may = Permission.objects.filter(content_type__app_label="feedback", codename="review")
    given = User.user_permissions.through.objects.filter(permission__in=may).values("user")
    by_role = User.groups.through.objects.filter(group__permissions__in=may).values("user")
    return User.objects.filter(is_active=True, pk__in=given.union(by_role)).order_by()


def readers_needed() -> Case:
    """Of each rating how many must read it: `REVIEW_READERS` of those drawn at capture and of what is at stake most.

    Never more than there are people to read it besides its person. All others are read by one, and so is what was
    escalated: whoever adjudicates decides it alone. That there are divided readers is not looked at here.
    """
    from feedback.models.reviews import Escalation

    # Neither depends on the rating: the database finds them once in a statement, however many ratings it looks at.
    people = Subquery(who_may_review().values(n=Func(F("pk"), function="COUNT")), output_field=IntegerField())
    is_one_of_them = Case(When(user__in=who_may_review().values("pk"), then=Value(1)), default=Value(0))
    return Case(
        When(Exists(Escalation.objects.filter(event=OuterRef("event"))), then=Value(1)),
        When(
            Q(lot__lt=settings.REVIEW_READERS_SHARE) | _has_much_at_stake(),
            then=Greatest(Least(Value(settings.REVIEW_READERS), people - is_one_of_them), Value(1)),
        ),
        default=Value(1),
        output_field=IntegerField(),
    )


def _has_much_at_stake() -> Q:
    """Where a wrong verdict costs most: its person speaks of harm, or says what is wrong, which may be trained on."""
    from feedback.models.ratings import Correction

    said = Correction.objects.filter(message=OuterRef("message"), user=OuterRef("user"), withdrawn_at=None)
    return Q(reasons__overlap=HARM) | Q(Exists(said))
