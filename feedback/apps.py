from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FeedbackConfig(AppConfig):
    name = "feedback"
    verbose_name = _("Feedback")

    def ready(self) -> None:
        from accounts.signals import consent_withdrawn, person_leaving
        from chat.signals import conversations_deleted, messages_erased
        from feedback import comparing, leaving, signals  # noqa: F401 - their receivers are connected

        person_leaving.connect(leaving.forget, dispatch_uid="feedback")
        consent_withdrawn.connect(leaving.leave_out, dispatch_uid="feedback")
        conversations_deleted.connect(leaving.leave_out_deleted, dispatch_uid="feedback")
        messages_erased.connect(leaving.leave_out_erased, dispatch_uid="feedback")
