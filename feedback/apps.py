from django.apps import AppConfig


class FeedbackConfig(AppConfig):
    name = "feedback"

    def ready(self) -> None:
        from accounts.signals import consent_withdrawn, person_leaving
        from feedback import comparing, leaving, signals  # noqa: F401 - their receivers are connected

        person_leaving.connect(leaving.forget, dispatch_uid="feedback")
        consent_withdrawn.connect(leaving.leave_out, dispatch_uid="feedback")
