"""A simulated OpenID Connect server and GitHub on loopback, as real to us as HTTP, keys and signatures make them.

It signs a person in without asking; `liar` may change what it says, to see that we do not believe it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET = "parley-at-simulated", "the-secret-of-parley"

Claims = dict[str, Any]


@cache
def _key(_whose: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class SimulatedSignIn:
    """`person` is who is signed in there; `change` edits the id token's claims; `signing_key` may be a stranger's."""

    def __init__(self) -> None:
        self.person: Claims = {"sub": "4711", "email": "ann@example.org", "email_verified": True, "name": "Ann"}
        self.change: Callable[[Claims], Claims] = lambda claims: claims
        self.key = self.signing_key = _key("the server's")
        self.algorithm = "RS256"
        self.userinfo: Claims | None = None
        self.url = ""
        self._asked: dict[str, Claims] = {}

    def be_a_liar(self) -> None:
        """Sign with a key that was never published, under the published name."""
        self.signing_key = _key("a stranger's")

    def answer(self, path: str, asked: Claims, authorization: str) -> tuple[int, dict[str, str], Any]:
        """(status, headers, JSON) for a request."""
        if path == "/.well-known/openid-configuration":
            return 200, {}, self._description()
        if path == "/keys":
            published = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
            return 200, {}, {"keys": [{**published, "kid": "one", "alg": "RS256", "use": "sig"}]}
        if path in ("/authorize", "/login/oauth/authorize"):
            return self._authorize(asked)
        if path in ("/token", "/login/oauth/access_token"):
            return self._token(asked)
        if path == "/userinfo":
            return 200, {}, self.userinfo
        if path == "/api/v3/user":
            return 200, {}, {"id": 42, "login": "ann", "name": self.person["name"], "email": "public@example.org"}
        if path == "/api/v3/user/emails":
            row = {"email": self.person["email"], "verified": self.person["email_verified"], "primary": True}
            return 200, {}, [row, {"email": "second@example.org", "verified": True, "primary": False}]
        return 404, {}, {}

    def _description(self) -> Claims:
        described = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        return described | ({"userinfo_endpoint": f"{self.url}/userinfo"} if self.userinfo else {})

    def _authorize(self, asked: Claims) -> tuple[int, dict[str, str], Any]:
        if asked["client_id"] != CLIENT_ID or asked["response_type"] != "code":
            return 400, {}, {"error": "invalid_request"}
        code = secrets.token_urlsafe(12)
        self._asked[code] = asked
        return 302, {"Location": f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"}, {}

    def _token(self, asked: Claims) -> tuple[int, dict[str, str], Any]:
        """A code works once, for the client with its secret, the same address to return to, and the PKCE verifier."""
        begun = self._asked.pop(asked.get("code", ""), None)
        if begun is None or asked.get("redirect_uri") != begun["redirect_uri"]:
            return 400, {}, {"error": "invalid_grant"}
        proof = base64.urlsafe_b64encode(hashlib.sha256(asked.get("code_verifier", "").encode()).digest())
        if proof.rstrip(b"=").decode() != begun["code_challenge"] or asked.get("client_secret") != CLIENT_SECRET:
            return 400, {}, {"error": "invalid_grant"}
        answer = {"access_token": secrets.token_urlsafe(12), "token_type": "Bearer"}
        if "nonce" in begun:
            answer["id_token"] = self._id_token(begun["nonce"])
        return 200, {}, answer

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce, **self.person}
        key: Any = self.signing_key if self.algorithm.startswith("RS") else CLIENT_SECRET * 2
        return jwt.encode(self.change(claims), key, algorithm=self.algorithm, headers={"kid": "one"})


@contextmanager
def running() -> Iterator[SimulatedSignIn]:
    """Serves on a free port of loopback until the block ends."""
    simulated = SimulatedSignIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._reply(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _reply(self, query: str) -> None:
            asked = {name: values[0] for name, values in parse_qs(query).items()}
            path, authorization = urlsplit(self.path).path, self.headers.get("Authorization", "")
            status, headers, content = simulated.answer(path, asked, authorization)
            body = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    simulated.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield simulated
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
