"""The admin site as our support desk has it: every write keeps who, what, before and after; no page opens an account.

Whoever may write addresses, passwords, sessions or second steps could sign in as anybody, so not even administrators
find them here; they are read on a person's own page instead.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts import activity
from accounts.admin import ReadOnlyAdmin
from accounts.models import ActivityEvent, User

Act = Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]
DOORS = [Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken, UserSession]
VALUES = "values"
LOGGED_BY_DJANGO = "delete_selected"  # it asks first
NEVER_WRITTEN_DOWN = {"password", "password1", "password2", "usable_password"}


OUR_APPS = ("accounts", "billing", "chat", "feedback", "usersessions")


def name_fields() -> None:
    """The names that Django makes of fields, in the language of whoever looks: the catalogues have them.

    No migration hears of it: what a field was given to be called is left as it is.
    """
    for label in OUR_APPS:
        for model in apps.get_app_config(label).get_models():
            for field in model._meta.local_fields:
                if getattr(field, "_verbose_name", None) is None:  # what its author called it
                    field.verbose_name = _(str(field.verbose_name))


class Audited(admin.ModelAdmin):  # type: ignore[type-arg]
    """Keeps the values before and after a change in the log, and on the record of the person it is about."""

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        message: list[dict[str, Any]] = super().construct_change_message(request, form, formsets, add)
        values = changed_values(form)
        rows = [row for formset in formsets or [] for row in formset.forms if row.has_changed()]
        for row in rows:
            values |= {f"{row.instance}: {name}": pair for name, pair in changed_values(row).items()}
        if values:
            message.append({VALUES: values})  # of a kind that Django's own sentence about the change leaves out
            _tell_person(request, form.instance, values)
        return message

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """An action is a write like any other: which one, by whom, to which rows is written down where it is done."""
        found: dict[str, Any] = super().get_actions(request)
        return {
            name: (act if name == LOGGED_BY_DJANGO else _written_down(act, name), *described)
            for name, (act, *described) in found.items()
        }


def _written_down(act: Act, name: str) -> Act:
    @functools.wraps(act)
    def acting(page: Any, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        rows = list(chosen)
        answer = act(page, request, chosen)
        for row in rows:
            page.log_change(request, row, f"Action: {name}")
        return answer

    return acting


def changed_values(form: ModelForm[Model]) -> dict[str, list[str]]:
    """{field: [before, after]} of what a form changed, without secrets."""
    return {
        name: [_shown(form.initial.get(name)), _shown(form.cleaned_data.get(name))]
        for name in form.changed_data
        if name not in NEVER_WRITTEN_DOWN
    }


def _shown(value: Any) -> str:
    """As a reader understands it; sets of rows by their names."""
    if hasattr(value, "all") or isinstance(value, list | tuple):
        found = value.all() if hasattr(value, "all") else value
        return ", ".join(sorted(str(one) for one in found))
    return "" if value is None else str(value)


def _tell_person(request: HttpRequest, row: Model, values: dict[str, list[str]]) -> None:
    person, actor = (row if isinstance(row, User) else getattr(row, "user", None)), request.user
    if isinstance(person, User) and isinstance(actor, User):
        detail = "; ".join(f"{name}: {before} → {after}" for name, (before, after) in values.items())
        kind = ActivityEvent.Kind.STAFF_CHANGED
        activity.record(user=person, kind=kind, now=timezone.now(), actor=actor, detail=detail)


class LogEntryAdmin(ReadOnlyAdmin):
    """Who wrote what by the admin site; nobody writes here."""

    list_display = ("action_time", "user", "content_type", "object_repr", "what", "before_and_after")
    list_filter = ("action_flag", ("content_type", admin.RelatedOnlyFieldListFilter))
    search_fields = ("user__email", "object_repr", "object_id", "change_message")
    list_select_related = ("user", "content_type")
    date_hierarchy = "action_time"

    @admin.display(description=_("What"))
    def what(self, entry: LogEntry) -> str:
        return entry.get_change_message()

    @admin.display(description=_("Before and after"))
    def before_and_after(self, entry: LogEntry) -> str:
        return "; ".join(f"{name}: {before} → {after}" for name, (before, after) in values_of(entry).items())


def values_of(entry: LogEntry) -> dict[str, list[str]]:
    """{field: [before, after]} of a row of the log."""
    try:
        parts = json.loads(entry.change_message)
    except ValueError:
        return {}
    found = [part.get(VALUES) or part.get("changed", {}).get(VALUES, {}) for part in parts if isinstance(part, dict)]
    return {name: pair for part in found for name, pair in part.items()}


def close_doors() -> None:
    """Called once every app has registered its pages."""
    site = admin.site
    site.unregister([model for model in DOORS if site.is_registered(model)])
    for model, page in list(site._registry.items()):
        kind = type(page)
        site.unregister(model)
        site.register(model, type(kind.__name__, (Audited, kind), {"__doc__": kind.__doc__}))
    site.register(LogEntry, LogEntryAdmin)


def forget_entries(*, user: User, **_arguments: Any) -> None:
    """What staff changed about somebody who leaves stays as a fact, without their name and values."""
    about = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk))
    about.update(object_repr="", object_id="", change_message="")
