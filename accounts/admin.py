"""People and what they agreed to, as a support desk reads them: nothing of the ledger can be edited."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.models import ActivityEvent, ApiKey, ConsentEvent, Deletion, ErasureReceipt, User


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A ledger: it can be searched and read, never added to, changed or deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    ordering = ("-date_joined",)
    list_display = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "groups", "language")
    search_fields = ("email", "name")
    readonly_fields = ("id", "email", "date_joined", "last_login")
    filter_horizontal = ("groups",)
    fieldsets = (
        (None, {"fields": ("id", "email", "name", "date_joined", "last_login")}),
        (_("Preferences"), {"fields": ("language", "theme", "time_zone")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "groups")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "password1", "password2")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """The address is given when a person is added, and changed only by the person."""
        return self.readonly_fields if obj else ("id", "date_joined", "last_login")

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False


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
