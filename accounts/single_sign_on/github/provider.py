"""A person as GitHub describes them; the addresses it has verified are asked for separately."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.github.provider import GitHubProvider
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.http import HttpRequest

PUBLIC = "https://github.com"


class HubAdapter(GitHubOAuth2Adapter):  # type: ignore[misc]
    """github.com, or the Enterprise server that the app's setting `url` names."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        web = self.get_provider().app.settings.get("url", PUBLIC).rstrip("/")
        api = "https://api.github.com" if web == PUBLIC else f"{web}/api/v3"
        self.access_token_url = f"{web}/login/oauth/access_token"
        self.authorize_url = f"{web}/login/oauth/authorize"
        self.profile_url = f"{api}/user"
        self.emails_url = f"{api}/user/emails"

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **given: Any) -> SocialLogin:
        try:
            return super().complete_login(request, app, token, **given)
        except (KeyError, TypeError, ValueError) as error:
            raise OAuth2Error("GitHub answered with something else than a profile.") from error


class HubProvider(GitHubProvider):  # type: ignore[misc]
    package = "accounts.single_sign_on.github"
    pkce_enabled_default = True
    oauth2_adapter_class = HubAdapter

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        """Ours alone: allauth would let the address of the sign-in page add to it."""
        return list(self.get_scope())

    def get_auth_params_from_request(self, request: HttpRequest, action: str) -> dict[str, str]:
        return dict(self.get_auth_params())

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        """Without the address of the public profile, which says nothing of whether it is verified."""
        return {"name": data.get("name")}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        """The primary one alone: it is what the account will be called by."""
        return [
            EmailAddress(email=row["email"], verified=row["verified"] is True, primary=True)
            for row in data.get("emails", [])
            if row["primary"]
        ]

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """What the list of connections shows, and nothing else of the profile."""
        return {"login": str(data.get("login", ""))}
