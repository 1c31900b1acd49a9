from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import activity, api_description  # noqa: F401 - describes keys in the API's schema

        activity.listen()
