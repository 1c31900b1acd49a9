"""`python -m billing.sandbox`: the simulated Stripe on a loopback address."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys

import uvicorn

from billing.sandbox.app import create_app
from billing.sandbox.events import Endpoint


def main() -> int:
    environment = os.environ
    parser = argparse.ArgumentParser(prog="python -m billing.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address; others are refused")
    parser.add_argument("--port", type=int, default=int(environment.get("STRIPE_SANDBOX_PORT", "8002")))
    parser.add_argument("--state", default="var/stripe/state.sqlite3", help="SQLite file, or :memory:")
    parser.add_argument(
        "--requests-per-second",
        type=int,
        default=int(environment.get("STRIPE_SANDBOX_REQUESTS_PER_SECOND", "0")),
        help="answer 429 beyond so many; Stripe's own sandboxes allow 25 (default: no limit)",
    )
    options = parser.parse_args()
    if not _is_loopback(options.host):
        print("The simulated Stripe listens on loopback addresses only, such as 127.0.0.1.", file=sys.stderr)  # noqa: T201
        return 2
    url, secret = environment.get("STRIPE_WEBHOOK_URL"), environment.get("STRIPE_WEBHOOK_SECRET")
    app = create_app(
        state=options.state,
        base_url=f"http://{options.host}:{options.port}",
        api_key=environment.get("STRIPE_API_KEY") or None,
        endpoint=Endpoint(url, secret) if url and secret else None,
        requests_per_second=options.requests_per_second,
    )
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
