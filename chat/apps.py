from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"

    def ready(self) -> None:
        from accounts.signals import person_leaving
        from chat import leaving

        person_leaving.connect(leaving.forget, dispatch_uid="chat")
