"""What a reservation adds to a message: 200 a second, spread over people, for some seconds.

    python -m tests.bench.billing.quota --seconds 10 --rate 200

Needs DATABASE_URL (a scratch database: it creates people there). Prints the median, p95 and p99 of `reserve` and of
`settle`, in milliseconds, as the caller waits for them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import User  # noqa: E402
from billing import quota  # noqa: E402
from billing.plans import seed_plans  # noqa: E402


def message(user: User) -> tuple[float, float]:
    """Seconds that reserving and settling took, each with its commit."""
    request_id = uuid.uuid4()
    started = time.perf_counter()
    with transaction.atomic():
        quota.reserve(user=user, request_id=request_id, prompt_tokens=10, max_output_tokens=20, now=timezone.now())
    reserved = time.perf_counter()
    quota.settle(request_id=request_id, prompt_tokens=9, completion_tokens=7, now=timezone.now())
    return reserved - started, time.perf_counter() - reserved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--threads", type=int, default=8)
    arguments = parser.parse_args()
    seed_plans()
    count = int(arguments.seconds * arguments.rate)
    people = [User.objects.create(email=f"{uuid.uuid4().hex}@example.org") for _ in range(count // 10)]
    connection.close()
    with ThreadPoolExecutor(arguments.threads) as pool:
        list(pool.map(message, people[: arguments.threads * 2]))  # connections open before the clock starts
        started, waiting = time.perf_counter(), []
        for number in range(count):
            time.sleep(max(0.0, started + number / arguments.rate - time.perf_counter()))
            waiting.append(pool.submit(message, people[number % len(people)]))
        times = [task.result() for task in waiting]
        took = time.perf_counter() - started
    print(f"{count} messages at {count / took:.0f} a second")
    for name, values in (("reserve", [pair[0] for pair in times]), ("settle", [pair[1] for pair in times])):
        cuts = statistics.quantiles([value * 1000 for value in values], n=100)
        print(f"{name}: median {cuts[49]:.2f} ms, p95 {cuts[94]:.2f} ms, p99 {cuts[98]:.2f} ms")
    User.objects.filter(pk__in=[user.pk for user in people]).delete()


if __name__ == "__main__":
    main()
