from django.apps import AppConfig


class OpenAIConfig(AppConfig):
    name = "chat.openai"
    label = "chat_openai"
    verbose_name = "API"
