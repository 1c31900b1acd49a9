"""A person as an OpenID Connect server describes them: a code for a token, bound to the visit by a nonce."""

from __future__ import annotations

import secrets
from typing import Any

import requests
from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest, HttpResponseBase

from accounts.single_sign_on.openid import tokens

DISCOVERY = "/.well-known/openid-configuration"


class ServerAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """Speaks to the server; `nonce` is what the visit's token must repeat."""

    nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        """The server's description of itself; it must name itself as the operator did. Raises `OAuth2Error`."""
        if not hasattr(self, "_described"):
            described = _fetched(self.get_provider().server_url)
            named = str(described.get("issuer", ""))
            if named.rstrip("/") + DISCOVERY != self.get_provider().server_url:
                raise OAuth2Error("The OpenID Connect server calls itself otherwise than OIDC_SERVER_URL does.")
            self._described = described
        return self._described

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **given: Any) -> SocialLogin:
        try:
            claims = self._claims(str(given["response"]["id_token"]), app)
            if "email" not in claims and "userinfo_endpoint" in self.openid_config:
                claims = self._with_details(claims, token.token)
            return self.get_provider().sociallogin_from_response(request, {"id_token": claims})
        except (tokens.NotBelieved, KeyError, TypeError, ValueError) as error:
            raise OAuth2Error("The id token was not believed.") from error

    def _claims(self, token: str, app: SocialApp) -> dict[str, Any]:
        config = self.openid_config
        expected = tokens.Expected(issuer=config["issuer"], client_id=app.client_id, nonce=self.nonce)
        return tokens.believed(token, keys=_fetched(config["jwks_uri"]), expected=expected)

    def _with_details(self, claims: dict[str, Any], access_token: str) -> dict[str, Any]:
        """With what the server tells only when asked; about the same person, or not at all."""
        details = _fetched(self.profile_url, headers={"Authorization": f"Bearer {access_token}"})
        if details.get("sub") != claims["sub"]:
            raise tokens.NotBelieved("The details are about somebody else.")
        return {**details, **claims}


class ServerProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """One OpenID Connect server of `SOCIALACCOUNT_PROVIDERS`."""

    package = "accounts.single_sign_on.openid"
    pkce_enabled_default = True
    oauth2_adapter_class = ServerAdapter

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **given: Any
    ) -> HttpResponseBase:
        nonce = secrets.token_urlsafe(24)
        given["auth_params"] = {**self.get_auth_params(), "nonce": nonce}
        try:
            answer: HttpResponseBase = super().redirect(request, process, next_url, data, nonce=nonce, **given)
        except (requests.RequestException, OAuth2Error, KeyError) as error:
            answer = render_authentication_error(request, self, exception=error)
        return answer

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        """Ours alone: allauth would let the address of the sign-in page add to it."""
        return list(self.get_scope())

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        claims = data["id_token"]
        if not claims.get("email"):
            return []
        is_verified = claims.get("email_verified") is True
        return [EmailAddress(email=str(claims["email"]), verified=is_verified, primary=True)]

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """What the list of connections shows, and nothing else of the profile."""
        return {"email": str(data["id_token"].get("email", ""))}


class ServerCallbackView(OAuth2CallbackView):  # type: ignore[misc]
    """Gives the adapter the nonce of the visit that the `state` belongs to."""

    def _get_state(
        self, request: HttpRequest, provider: ServerProvider
    ) -> tuple[dict[str, Any] | None, HttpResponseBase | None]:
        state, refusal = super()._get_state(request, provider)
        if state:
            self.adapter.nonce = state.get("nonce") or secrets.token_urlsafe()
        return state, refusal


def _fetched(url: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    with get_adapter().get_requests_session() as session:
        answer = session.get(url, headers=headers or {})
        answer.raise_for_status()
        found = answer.json()
    if not isinstance(found, dict):
        raise OAuth2Error("The OpenID Connect server answered with something else than an object.")
    return found
