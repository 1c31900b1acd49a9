from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FeedbackConfig(AppConfig):
    name = "feedback"
    verbose_name = _("Feedback")

    def ready(self) -> None:
        from accounts.signals import consent_withdrawn, person_leaving
        from feedback import comparing, leaving, signals  # noqa: F401 - their receivers are connected

        person_leaving.connect(leaving.forget, dispatch_uid="feedback")
        consent_withdrawn.connect(leaving.leave_out, dispatch_uid="feedback")
