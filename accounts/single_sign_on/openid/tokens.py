"""Whether an id token says what it seems to say (OpenID Connect Core 1.0, 3.1.3.7)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import jwt

# Of public keys only: with a shared secret, whoever can read our settings could sign tokens.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
CLOCK_DIFFERENCE_SECONDS = 60


class NotBelieved(Exception):  # noqa: N818 - reads as what it is at the place that raises it
    """The token is not from whom, for whom, of when or for what it should be."""


@dataclass(frozen=True)
class Expected:
    """What must stand in a token: who made it, for which client, for which visit of the sign-in page."""

    issuer: str
    client_id: str
    nonce: str


def believed(token: str, *, keys: dict[str, Any], expected: Expected) -> dict[str, Any]:
    """The claims of a token signed with one of `keys` (a JSON Web Key Set). Raises `NotBelieved`."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=_key_of(token, keys),
            algorithms=ALGORITHMS,
            audience=expected.client_id,
            issuer=expected.issuer,
            leeway=CLOCK_DIFFERENCE_SECONDS,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except jwt.PyJWTError as error:
        raise NotBelieved(str(error)) from error
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise NotBelieved("The token was made for another client.")
    if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), expected.nonce.encode()):
        raise NotBelieved("The token belongs to another visit.")
    return claims


def _key_of(token: str, keys: dict[str, Any]) -> jwt.PyJWK:
    """The key that the token names; the only one when it names none."""
    known = jwt.PyJWKSet.from_dict(keys).keys
    name = jwt.get_unverified_header(token).get("kid")
    fitting = [key for key in known if name is None or key.key_id == name]
    if not fitting or (name is None and len(fitting) > 1):
        raise NotBelieved("No published key fits the token.")
    return fitting[0]
