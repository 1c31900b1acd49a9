from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChatConfig(AppConfig):
    name = "chat"
    verbose_name = _("Chat")

    def ready(self) -> None:
        from accounts.signals import data_copied, person_leaving
        from chat import exporting, leaving

        person_leaving.connect(leaving.forget, dispatch_uid="chat")
        data_copied.connect(exporting.pages_for_copy, dispatch_uid="chat")
