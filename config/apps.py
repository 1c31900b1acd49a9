from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ConfigConfig(AppConfig):
    """The project itself: base templates, design tokens, shared static files, commands that concern all apps."""

    name = "config"
    verbose_name = "Parley"

    def ready(self) -> None:
        from accounts.signals import person_leaving
        from config import checks, desk, mail, pool  # noqa: F401 - registers the checks

        pool.look_before_asking()
        person_leaving.connect(desk.forget_entries, dispatch_uid="config.desk")
        person_leaving.connect(mail.forget_letters, dispatch_uid="config")


class DeskConfig(AdminConfig):
    """Django's admin site without what packages add to it that could open a person's account."""

    def ready(self) -> None:
        super().ready()
        from config import desk

        desk.close_doors()
        desk.name_fields()
