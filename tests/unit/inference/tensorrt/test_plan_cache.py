"""Plans on disk: built once, whole or not at all, and never more than there is room for."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.tensorrt import plan_cache
from inference.tensorrt.files import replace_file
from inference.tensorrt.layer_report import LayerReport
from inference.tensorrt.plan import BuiltPlan, PlanError
from inference.tensorrt.plan_cache import PlanCache

ROOT = Path(__file__).parents[4]
REPORT = LayerReport(profiles=(), tensors=(), errors=(), unused=())


class Builder:
    """Builds a plan of so many bytes, and counts."""

    def __init__(self, size: int = 100, seconds: float = 0.0) -> None:
        self.size, self.seconds, self.calls = size, seconds, 0

    def __call__(self) -> BuiltPlan:
        self.calls += 1
        time.sleep(self.seconds)
        return BuiltPlan(os.urandom(self.size), REPORT, 0.5)


def test_it_is_built_once_and_then_found(tmp_path: Path) -> None:
    cache, build = PlanCache(tmp_path / "plans"), Builder()
    first = cache.get_or_build("a", {"precision": "float16"}, build)
    again = PlanCache(tmp_path / "plans").get_or_build("a", {}, build)
    assert build.calls == 1
    assert again.path.read_bytes() == first.path.read_bytes()
    assert again.description == {"precision": "float16"}


def test_a_service_under_another_account_can_read_what_was_built(tmp_path: Path) -> None:
    plan = PlanCache(tmp_path).get_or_build("a", {}, Builder())
    assert {path.stat().st_mode & 0o777 for path in (plan.path, plan.path.with_suffix(".json"))} == {0o644}


TAKING = """
import os, sys
from pathlib import Path
from inference.tensorrt.plan_cache import PlanCache
if not os.geteuid():
    os.seteuid(65534)
print(len(PlanCache(Path(sys.argv[1]), limit=1).get_or_build("a", {}, None).content))
"""


@pytest.fixture
def for_everybody() -> Iterator[Path]:
    """A folder that other accounts may look into, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def test_who_may_only_read_it_takes_it_and_prunes_nothing(for_everybody: Path) -> None:
    plan = PlanCache(for_everybody).get_or_build("a", {}, Builder())
    for path in for_everybody.iterdir():
        path.chmod(0o444)
    for_everybody.chmod(0o555)
    taking = subprocess.run(
        [sys.executable, "-c", TAKING, str(for_everybody)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (taking.returncode, taking.stdout) == (0, "100\n"), taking.stderr
    assert plan.path.exists()


def test_on_a_full_disk_the_longest_unused_make_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = PlanCache(tmp_path)
    for key in ("old", "new"):
        os.utime(cache.get_or_build(key, {}, Builder()).path, (1, 1) if key == "old" else None)

    def write(path: Path, content: bytes) -> None:
        if sum(plan.size for plan in cache.plans()) >= 200:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_file(path, content)

    monkeypatch.setattr(plan_cache, "replace_file", write)
    cache.get_or_build("third", {}, Builder())
    assert {plan.key for plan in cache.plans()} == {"new", "third"}


def test_where_nothing_can_be_written_a_plan_is_good_for_once_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def write(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(plan_cache, "replace_file", write)
    assert len(PlanCache(tmp_path).get_or_build("a", {}, Builder()).content) == 100
    assert "every start will build it" in caplog.text
    assert PlanCache(tmp_path).plans() == []


def test_threads_that_want_one_plan_build_it_once(tmp_path: Path) -> None:
    build = Builder(seconds=0.2)
    threads = [threading.Thread(target=PlanCache(tmp_path).get_or_build, args=("a", {}, build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert build.calls == 1


BUILDING = """
import os, sys, time
from pathlib import Path
from inference.tensorrt.plan import BuiltPlan
from inference.tensorrt.plan_cache import PlanCache
from tests.unit.inference.tensorrt.test_plan_cache import REPORT

def build():
    with Path("built").open("a") as file:
        file.write(f"{os.getpid()} ")
    lock = f":{os.stat('plans/a.lock').st_ino} "
    while len(Path("built").read_text().split()) < 2 and not any(
        "-> FLOCK" in line and lock in line for line in Path("/proc/locks").read_text().splitlines()
    ):
        time.sleep(0.01)  # until the other one waits for the lock, or builds, too, as it would if nothing held it
    return BuiltPlan(os.urandom(100), REPORT, 1.0)

print("ready", flush=True)
input()
print(PlanCache(Path("plans")).get_or_build("a", {}, build).content.hex())
"""


def test_processes_that_want_one_plan_build_it_once(tmp_path: Path) -> None:
    command, surroundings = [sys.executable, "-c", BUILDING], {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    builders = [subprocess.Popen(command, cwd=tmp_path, env=surroundings, **pipes) for _ in range(2)]
    assert [builder.stdout.readline() for builder in builders] == ["ready\n"] * 2
    for builder in builders:
        builder.stdin.write("\n")
        builder.stdin.flush()
    first, second = (builder.communicate(timeout=60)[0].strip() for builder in builders)
    assert len(bytes.fromhex(first)) == 100
    assert first == second
    assert len((tmp_path / "built").read_text().split()) == 1


class Interrupted(PlanCache):
    """Somebody prunes at the worst moment: the plan is written and not read yet."""

    def _write(self, *arguments: Any) -> None:
        super()._write(*arguments)
        assert PlanCache(self.root).prune(limit=0) == []


def test_a_plan_that_is_pruned_elsewhere_meanwhile_is_whole_all_the_same(tmp_path: Path) -> None:
    plan = Interrupted(tmp_path).get_or_build("a", {}, Builder())
    assert [removed.key for removed in PlanCache(tmp_path).prune(limit=0)] == ["a"]
    assert hashlib.sha256(plan.content).hexdigest() == plan.details["sha256"]


@pytest.mark.parametrize("damage", [b"", b"other bytes"])
def test_a_damaged_plan_is_built_again(damage: bytes, tmp_path: Path) -> None:
    cache, build = PlanCache(tmp_path), Builder()
    cache.get_or_build("a", {}, build).path.write_bytes(damage)
    assert len(cache.get_or_build("a", {}, build).path.read_bytes()) == 100
    assert build.calls == 2


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> BuiltPlan:
        raise PlanError("no")

    cache = PlanCache(tmp_path)
    with pytest.raises(PlanError):
        cache.get_or_build("a", {}, fail)
    assert cache.plans() == []
    assert cache.get_or_build("a", {}, Builder()).size == 100


def test_a_build_that_was_killed_while_writing_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "a.plan").write_bytes(b"half")
    cache = PlanCache(tmp_path)
    assert cache.find("a") is None
    assert cache.plans() == []


def test_what_killed_builders_left_goes_with_the_next_prune_and_what_is_being_written_stays(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path)
    kept = cache.get_or_build("whole", {}, Builder())
    left = [tmp_path / "a.plan", tmp_path / ".a.plan-x1", tmp_path / ".b.json-x2"]
    for path in left:
        path.write_bytes(b"half")

    def build() -> BuiltPlan:
        (tmp_path / ".busy.plan-x3").write_bytes(b"half")
        assert PlanCache(tmp_path).prune() == []
        assert (tmp_path / ".busy.plan-x3").exists()
        return Builder()()

    cache.get_or_build("busy", {}, build)
    assert [path for path in left if path.exists()] == []
    assert not (tmp_path / ".busy.plan-x3").exists()
    assert kept.path.exists()


@pytest.mark.parametrize("content", ["[]", "{}", '{"sha256": ""}'])
def test_details_of_another_version_are_those_of_no_plan(content: str, tmp_path: Path) -> None:
    cache, build = PlanCache(tmp_path), Builder()
    cache.get_or_build("a", {}, build)
    (tmp_path / "a.json").write_text(content)
    assert cache.plans() == []
    assert cache.get_or_build("a", {}, build).size == 100
    assert build.calls == 2


def test_the_longest_unused_go_first_and_the_new_one_stays(tmp_path: Path) -> None:
    cache = PlanCache(tmp_path, limit=250)
    for age, key in enumerate("abc"):
        plan = cache.get_or_build(key, {}, Builder())
        os.utime(plan.path, (1000 + age, 1000 + age))
        if key == "b":
            cache.find("a")  # used now
    assert [plan.key for plan in cache.plans()] == ["c", "a"]
    assert [plan.key for plan in cache.get_or_build("huge", {}, Builder(1000)) and cache.plans()] == ["huge"]
    assert [plan.key for plan in cache.prune(limit=0)] == ["huge"]
    assert cache.plans() == []
