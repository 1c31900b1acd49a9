"""For benches of what is safe on the disk: tests otherwise have a database that does not wait for it."""

import os

import pytest

needs_durable = pytest.mark.skipif(
    "TEST_DURABLE" not in os.environ,
    reason="what is measured is a commit that waits for the disk, as only with TEST_DURABLE=1",
)
