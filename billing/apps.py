from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from accounts.signals import person_leaving
        from billing import checks, leaving  # noqa: F401 - registers the checks

        person_leaving.connect(leaving.forget, dispatch_uid="billing")
