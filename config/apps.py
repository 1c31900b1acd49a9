from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The project itself: base templates, design tokens, shared static files, commands that concern all apps."""

    name = "config"
    verbose_name = "Parley"
