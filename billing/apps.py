from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = _("Billing")

    def ready(self) -> None:
        from accounts.signals import kept_rows_copied, person_leaving
        from billing import checks, leaving  # noqa: F401 - registers the checks

        person_leaving.connect(leaving.forget, dispatch_uid="billing")
        kept_rows_copied.connect(leaving.books, dispatch_uid="billing")
