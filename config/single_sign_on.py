"""Which other sites people may sign in with: those whose keys stand in the environment."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import environ

GOOGLE = "https://accounts.google.com"
GITHUB = "https://github.com"


def providers(env: environ.Env) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """(`SOCIALACCOUNT_PROVIDERS`, the origins that the sign-in buttons lead to)."""
    servers, origins = [], []
    if env.str("GOOGLE_CLIENT_ID", default=""):
        servers.append(_app(env, "GOOGLE", name="Google", provider_id="google", settings={"server_url": GOOGLE}))
        origins.append(GOOGLE)
    if env.str("OIDC_CLIENT_ID", default=""):
        server = env.str("OIDC_SERVER_URL").rstrip("/")
        settings: dict[str, Any] = {"server_url": server}
        if env.bool("OIDC_ADDRESSES_ARE_VERIFIED", default=False):
            settings["verified_email"] = True
        name = env.str("OIDC_NAME", default="OpenID Connect")
        servers.append(_app(env, "OIDC", name=name, provider_id="sso", settings=settings))
        origins += env.list("OIDC_ORIGINS", default=[_origin(server)])
    hubs = []
    if env.str("GITHUB_CLIENT_ID", default=""):
        hub = env.str("GITHUB_URL", default=GITHUB).rstrip("/")
        hubs.append(_app(env, "GITHUB", name="GitHub", provider_id="", settings={"url": hub}))
        origins.append(_origin(hub))
    return {
        "openid_connect": {"provider_class": "accounts.single_sign_on.openid.provider.ServerProvider", "APPS": servers},
        "github": {"provider_class": "accounts.single_sign_on.github.provider.HubProvider", "APPS": hubs},
    }, origins


def _app(env: environ.Env, prefix: str, **more: Any) -> dict[str, Any]:
    return {"client_id": env.str(f"{prefix}_CLIENT_ID"), "secret": env.str(f"{prefix}_CLIENT_SECRET"), **more}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
