"""Plans on disk, under a hash of what they were built from. Safe under several builders; bounded in size.

A plan is two files, `KEY.plan` and `KEY.json`; the second is written last and carries the first one's checksum.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inference.tensorrt.files import replace_file
from inference.tensorrt.plan import BuiltPlan

logger = logging.getLogger(__name__)
DEFAULT_ROOT = Path("var") / "plans"
DEFAULT_LIMIT = 4_000_000_000
DETAILS = {"description", "sha256", "built_at", "seconds", "report"}
"""What the details of a plan hold; a file without all of them is not one."""


@dataclass(frozen=True)
class CachedPlan:
    """A plan that is there. `description` is what it was built from, `report` what the compiler said."""

    key: str
    path: Path
    size: int
    last_used: float
    details: dict[str, Any]
    content: bytes = field(default=b"", repr=False)
    """The plan itself, read at once and checked; a list of plans has none."""

    @property
    def description(self) -> dict[str, Any]:
        return dict(self.details["description"])


class PlanCache:
    """The plans below `root`, at most `limit` bytes of them: the longest unused go first."""

    def __init__(self, root: Path = DEFAULT_ROOT, *, limit: int = DEFAULT_LIMIT) -> None:
        self.root = root
        self.limit = limit

    def get_or_build(self, key: str, description: dict[str, Any], build: Callable[[], BuiltPlan]) -> CachedPlan:
        """The plan `key`, built now if it is not there or damaged. A second builder of it waits for the first.

        One that is there is taken by whoever may read it. One that cannot be written down is good for once.
        """
        if found := self.find(key):
            return found
        self.root.mkdir(parents=True, exist_ok=True)
        with self._locked(key):
            found = self.find(key)
            if found is None:
                found = self._keep(key, description, build())
        self.prune(keep=key)
        return found

    def find(self, key: str) -> CachedPlan | None:
        """The plan `key`, if it is whole; it counts as used now."""
        plan = self._read(key)
        if plan is None:
            return None
        try:
            content = plan.path.read_bytes()
        except OSError:  # pruned this moment, or not for us to read
            return None
        if hashlib.sha256(content).hexdigest() != plan.details["sha256"]:
            logger.warning("plan is damaged and will be built again", extra={"plan": key})
            return None
        with contextlib.suppress(OSError):  # somebody else's, who prunes it by their own use
            os.utime(plan.path)
        return replace(plan, content=content)

    def plans(self) -> list[CachedPlan]:
        """All plans, the longest unused first."""
        found = [self._read(path.stem) for path in self.root.glob("*.json")]
        return sorted((plan for plan in found if plan is not None), key=lambda plan: plan.last_used)

    def prune(self, *, keep: str = "", limit: int | None = None) -> list[CachedPlan]:
        """Remove the longest unused plans until the rest fits the limit; never `keep`. Returns the removed.

        A plan that somebody is building or reading just now stays.
        """
        self._remove_leftovers()
        plans = self.plans()
        excess = sum(plan.size for plan in plans) - (self.limit if limit is None else limit)
        removed = []
        for plan in plans:
            if excess <= 0 or plan.key == keep:
                continue
            with contextlib.suppress(OSError), self._locked(plan.key, wait=False):
                self._json(plan.key).unlink(missing_ok=True)
                plan.path.unlink(missing_ok=True)
                excess -= plan.size
                removed.append(plan)
        return removed

    def _remove_leftovers(self) -> None:
        """What killed builders left: files under a passing name, and plans without their details."""
        whole = {path.stem for path in self.root.glob("*.json")}
        for path in (*self.root.glob(".*.plan-*"), *self.root.glob(".*.json-*"), *self.root.glob("*.plan")):
            key = path.name.lstrip(".").split(".")[0]
            if path.name == f"{key}.plan" and key in whole:
                continue
            with contextlib.suppress(OSError), self._locked(key, wait=False):  # else it is being written, or not ours
                if path.name != f"{key}.plan" or not self._json(key).exists():
                    path.unlink(missing_ok=True)

    def _read(self, key: str) -> CachedPlan | None:
        path = self.root / f"{key}.plan"
        try:
            details = json.loads(self._json(key).read_text())
            status = path.stat()
        except (OSError, ValueError):
            return None
        if not isinstance(details, dict) or not details.keys() >= DETAILS:
            return None
        return CachedPlan(key, path, status.st_size, status.st_mtime, details)

    def _keep(self, key: str, description: dict[str, Any], built: BuiltPlan) -> CachedPlan:
        details = {
            "description": description,
            "sha256": hashlib.sha256(built.content).hexdigest(),
            "built_at": time.time(),
            "seconds": round(built.seconds, 2),
            "report": built.report.as_json(),
        }
        plan = CachedPlan(key, self.root / f"{key}.plan", len(built.content), time.time(), details, built.content)
        try:
            self._write(plan)
        except OSError:
            logger.warning("a plan finds no room, others make way", extra={"plan": key, "bytes": plan.size})
            there = sum(other.size for other in self.plans())
            self.prune(keep=key, limit=max(0, there - plan.size))
            try:
                self._write(plan)
            except OSError as error:
                logger.error("a plan cannot be kept: every start will build it", extra={"plan": key, "why": str(error)})
        return plan

    def _write(self, plan: CachedPlan) -> None:
        replace_file(plan.path, plan.content)
        replace_file(self._json(plan.key), json.dumps(plan.details, indent=1).encode())

    def _json(self, key: str) -> Path:
        return self.root / f"{key}.json"

    @contextlib.contextmanager
    def _locked(self, key: str, *, wait: bool = True) -> Iterator[None]:
        """Raises BlockingIOError when somebody else has the lock and we do not wait."""
        with (self.root / f"{key}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
