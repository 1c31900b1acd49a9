from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The project itself: base templates, design tokens, shared static files, commands that concern all apps."""

    name = "config"
    verbose_name = "Parley"

    def ready(self) -> None:
        from accounts.signals import person_leaving
        from config import mail

        person_leaving.connect(mail.forget_letters, dispatch_uid="config")
