"""`first_token`, at a site that is started for it: `FIRST_TOKENS` (200) messages and as many prompts, in turns."""

from __future__ import annotations

import os

from tests.bench.chat import first_token
from tests.stack.processes import Stack

COUNT = int(os.environ.get("FIRST_TOKENS", "200"))


def test_time_to_the_first_token(stack: Stack) -> None:
    print(first_token.table(stack.url, stack.inference_url, count=COUNT))
