"""How the OpenAPI description names a key."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from accounts.authentication import SCHEME


class KeyDescription(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "accounts.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": SCHEME, "description": "A key made under Settings, API keys."}
