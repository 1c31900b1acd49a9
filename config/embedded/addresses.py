"""Which parts run on this machine, and the environment that leads every process to them or to yours."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.embedded.postgres import Postgres
from config.embedded.valkey import Valkey

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Listener:
    """Where one of our processes listens; `variable` is the setting that moves its port."""

    variable: str
    host: str
    port: int


@dataclass(frozen=True)
class Install:
    """One machine's install: `environment` is complete, `parts` names the Procfile's processes to run here."""

    environment: dict[str, str]
    parts: tuple[str, ...]

    @property
    def site(self) -> str:
        return self.environment["SITE_URL"]

    @property
    def listeners(self) -> list[Listener]:
        """Where our own processes will listen, but for the databases, which choose for themselves."""
        wanted = {
            "web": ("PORT", self.environment.get("WEB_HOST") or LOOPBACK),
            "inference": ("INFERENCE_PORT", self.environment.get("INFERENCE_HOST") or LOOPBACK),
            "stripe": ("STRIPE_PORT", LOOPBACK),
        }
        chosen = [wanted[part] for part in self.parts if part in wanted]
        return [Listener(variable, host, self._port(variable)) for variable, host in chosen]

    def _port(self, variable: str) -> int:
        text = self.environment[variable]
        if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
            raise RuntimeError(f"{variable}={text!r} is not a port: set it to a number from 1 to 65535.")
        return int(text)


def install(var: Path, given: Mapping[str, str]) -> Install:
    """Each address in `given` replaces the part that would run here; all others get one below `var`."""
    environment = {name: value for name, value in given.items() if value}
    environment["PARLEY_VAR"] = str(var)
    environment.setdefault("PORT", "8000")
    environment.setdefault("SITE_URL", f"http://127.0.0.1:{environment['PORT']}")
    parts = [
        *_databases(var, environment),
        *_stripe(var, environment),
        *_inference(environment),
        *("worker", "scheduler", "web"),
    ]
    return Install(environment=environment, parts=tuple(parts))


def reachable(host: str) -> str:
    """How this machine reaches a server of its own that listens on `host`, as addresses of the web write it."""
    host = {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - compared, not opened
    return f"[{host}]" if ":" in host else host


def _databases(var: Path, environment: dict[str, str]) -> list[str]:
    parts = []
    if "DATABASE_URL" not in environment:
        environment["DATABASE_URL"] = Postgres(var / "postgres").url
        parts.append("postgres")
    if "VALKEY_URL" not in environment:
        valkey = Valkey(var / "valkey")
        valkey.prepare()
        environment["VALKEY_URL"] = valkey.url
        parts.append("valkey")
    return parts


def _inference(environment: dict[str, str]) -> list[str]:
    if "INFERENCE_URL" in environment:
        return []
    port = environment.setdefault("INFERENCE_PORT", "8001")
    host = environment.setdefault("INFERENCE_HOST", LOOPBACK)
    environment["INFERENCE_URL"] = f"http://{reachable(host)}:{port}"
    if "MODEL" in environment:
        environment.setdefault("INFERENCE_MODEL_NAME", environment.get("CHAT_MODEL") or _named(environment["MODEL"]))
    if "INFERENCE_MODEL_NAME" in environment:
        environment.setdefault("CHAT_MODEL", environment["INFERENCE_MODEL_NAME"])
    return ["inference"]


def _named(model: str) -> str:
    """What a model is called by its file's name, or its folder's: the chat asks for it by that."""
    path = Path(model).resolve()
    if path.name == "model.gguf":
        return path.parent.name
    return path.stem if path.suffix == ".gguf" else path.name


def _stripe(var: Path, environment: dict[str, str]) -> list[str]:
    """The simulated Stripe unless there is a key of a real account."""
    given = {"STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"} & set(environment)
    if len(given) == 1:
        [present] = given
        [absent] = {"STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"} - given
        raise RuntimeError(f"{present} is set: set {absent} too, or unset both to simulate Stripe.")
    if given:
        return []
    port = environment.setdefault("STRIPE_PORT", "8002")
    folder = var / "stripe"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    environment["STRIPE_API_KEY"] = "sk_test_" + _kept_secret(folder / "api-key")
    environment["STRIPE_WEBHOOK_SECRET"] = "whsec_" + _kept_secret(folder / "webhook-secret")
    environment["STRIPE_API_BASE"] = f"http://{LOOPBACK}:{port}"
    environment.setdefault("STRIPE_WEBHOOK_URL", f"{environment['SITE_URL']}/billing/webhook")
    return ["stripe"]


def _kept_secret(path: Path) -> str:
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(24))
        fresh.rename(path)
    return path.read_text()
