"""People and what they agreed to, as a support desk reads them: nothing of the ledger can be edited."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts import desk
from accounts.forms import PreferencesForm
from accounts.models import ActivityEvent, ApiKey, ConsentEvent, Deletion, ErasureReceipt, User


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A ledger: it can be searched and read, never added to, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyRows(admin.TabularInline):  # type: ignore[type-arg]
    """Rows of a person, on their page."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("accounts.view_user")


class AddressRows(ReadOnlyRows):
    model = EmailAddress
    fields = readonly_fields = ("email", "verified", "primary")


class ConnectedRows(ReadOnlyRows):
    model = SocialAccount
    fields = readonly_fields = ("provider", "date_joined", "last_login")


class SessionRows(ReadOnlyRows):
    model = UserSession
    verbose_name, verbose_name_plural = _("session"), _("sessions")
    fields = readonly_fields = ("ip", "user_agent", "created_at")


def _action(deed: desk.Deed, name: str, description: Any) -> Any:
    """An action of the list of people that does `deed` to each that was chosen."""

    @admin.action(description=description, permissions=["change"])
    def act(page: PersonAdmin, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for person in chosen:
            try:
                done = desk.do(deed, person=person, request=request)
            except desk.NotAllowed as refusal:
                page.message_user(request, f"{refusal} ({person})", messages.ERROR)
            else:
                page.message_user(request, f"{done}: {person}")  # Django capitalises what stands first

    act.__name__ = name
    return act


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    """A person as the desk sees them. Nobody sets another's password or address: that would be signing in as them."""

    ordering = ("-date_joined",)
    list_display = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "groups", "language")
    search_fields = ("email", "name", "id", "api_keys__prefix")
    search_help_text = _("Address, name, id, or the beginning of an API key")
    date_hierarchy = "date_joined"
    readonly_fields = ("id", "email", "date_joined", "last_login")
    filter_horizontal = ("groups",)
    fieldsets = (
        (None, {"fields": ("id", "email", "name", "date_joined", "last_login")}),
        (_("Preferences"), {"fields": ("language", "theme", "time_zone")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "groups")}),
    )
    inlines = (AddressRows, ConnectedRows, SessionRows)
    actions = (
        _action(desk.close, "close", _("Close the account and end its sessions")),
        _action(desk.reopen, "reopen", _("Open the account again")),
        _action(desk.end_sessions, "end_sessions", _("End all sessions")),
        _action(desk.revoke_keys, "revoke_keys", _("Revoke all API keys")),
        _action(desk.send_reset, "send_reset", _("Send a letter to choose a new password")),
    )

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest, **options: Any) -> Any:
        """Language and time zone are chosen as the person chooses them."""
        if db_field.name in ("language", "time_zone"):
            return deepcopy(PreferencesForm.base_fields[db_field.name])
        return super().formfield_for_dbfield(db_field, request, **options)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Only those who manage roles give them, and only they touch the accounts of staff."""
        if request.user.has_perm("auth.change_group"):
            return self.readonly_fields
        own = ("is_staff", "groups")
        is_staff = obj is not None and obj.is_staff
        return (*self.readonly_fields, *own, *(("is_active", "name") if is_staff else ()))

    def has_add_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """People sign up themselves, with passwords that nobody else has known."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        raise PermissionDenied


@admin.register(ConsentEvent)
class ConsentEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "scope", "subject_id", "is_granted", "policy_version")
    list_filter = ("scope", "is_granted", "policy_version")
    search_fields = ("user__email", "subject_id")
    date_hierarchy = "created_at"


@admin.register(ActivityEvent)
class ActivityEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "kind", "detail", "actor", "address")
    list_filter = ("kind",)
    search_fields = ("user__email", "actor__email", "detail")
    list_select_related = ("user", "actor")
    date_hierarchy = "created_at"


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Names and dates of keys; the digest is no use to anybody and stays out of sight."""

    list_display = ("prefix", "user", "name", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("created_at", "revoked_at")
    search_fields = ("user__email", "name", "prefix")
    list_select_related = ("user",)
    exclude = ("digest",)


@admin.register(Deletion)
class DeletionAdmin(ReadOnlyAdmin):
    list_display = ("user", "asked_at", "due_at")
    search_fields = ("user__email",)


@admin.register(ErasureReceipt)
class ErasureReceiptAdmin(ReadOnlyAdmin):
    list_display = ("id", "erased_at")
    search_fields = ("id",)
    date_hierarchy = "erased_at"
