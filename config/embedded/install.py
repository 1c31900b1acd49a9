"""Makes the virtual environment and installs what pyproject.toml names, saying what it does and what went wrong.

Runs on a bare Python, before anything is installed: `python3 config/embedded/install.py [EXTRA…]`. Nothing is done
when the environment already holds exactly this. `TORCH_INDEX` names the package index to take torch from.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent.parent
OLDEST_PYTHON = (3, 11)
# Measured: the environment takes 1.6 GB without and 2.3 GB with what the tests need; pip unpacks beside it.
FREE_BYTES_NEEDED = 4_000_000_000
# Seconds: nobody looks at a silent screen for longer.
LONGEST_SILENCE = 3
POLL_SECONDS = 0.1
NO_NETWORK = re.compile(
    r"NewConnectionError|Name or service not known|Temporary failure in name resolution|Network is unreachable"
    r"|Connection refused|ConnectTimeoutError|ReadTimeoutError|ProxyError"
    # All that pip says where it is told not to try again.
    r"|from versions: none"
)


def main(extras: list[str]) -> None:
    folder = Path(os.environ.get("VENV") or ROOT / ".venv").absolute()
    stamp = folder / f".installed-{'-'.join(extras) or 'plain'}"
    fingerprint = _fingerprint()
    if _holds(folder, stamp, fingerprint):
        return
    with _one_at_a_time(folder):
        if not _holds(folder, stamp, fingerprint):  # another `make` may just have done it
            _install(folder, extras)
            stamp.write_text(fingerprint)


def _holds(folder: Path, stamp: Path, fingerprint: str) -> bool:
    return stamp.exists() and stamp.read_text() == fingerprint and (folder / "bin" / "python").exists()


def _install(folder: Path, extras: list[str]) -> None:
    _require_python()
    _require_space(folder)
    _make_environment(folder)
    python = folder / "bin" / "python"
    # The pip that comes with Python 3.11 resolves slowly and cannot report a download's progress to the model's fetch.
    _pip(python, "install", "--upgrade", "pip>=25")
    _install_torch(python)
    target = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    _say("installing Parley's packages (the first time this takes minutes)")
    for requirements in _requirements(extras):
        _pip(python, "install", *requirements)
    _say(f"installed for {target}")


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two of them in one environment would remove what the other is just installing: the second waits and says so."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder.parent, os.O_RDONLY)  # the folder itself: no file of a lock is left behind
    try:
        while not _taken(lock):
            _say("another make is installing into the same environment; waiting for it")
            deadline = time.monotonic() + LONGEST_SILENCE
            while not _taken(lock) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)  # a lock that is waited for blocks, and nothing could be said meanwhile
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _require_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        _fail(
            f"Parley needs Python {'.'.join(map(str, OLDEST_PYTHON))} or newer; {sys.executable} is "
            f"{sys.version.split()[0]}. Name another one: make run PYTHON=python3.12"
        )
    try:
        import ensurepip  # noqa: F401 - Debian ships it apart
        import venv  # noqa: F401
    except ImportError:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        _fail(
            "Python's venv module is missing. On Debian or Ubuntu install it as root, then try again:\n"
            f"    apt install python3-venv     (for another Python than Debian's: python{version}-venv)"
        )


def _make_environment(folder: Path) -> None:
    python = folder / "bin" / "python"
    if python.exists() and subprocess.call([python, "-m", "pip", "--version"], stdout=subprocess.DEVNULL) == 0:
        return
    _say(f"making the virtual environment {folder}")
    # What it says is kept until it failed: stopped by Ctrl-C, it would print where it stood.
    making = subprocess.Popen([sys.executable, "-m", "venv", "--clear", folder], stderr=subprocess.PIPE, text=True)
    _, errors = _output_of(making, meanwhile="still making the virtual environment")
    if making.returncode:
        sys.stderr.write(errors)
        shutil.rmtree(folder, ignore_errors=True)
        _fail(f"The virtual environment {folder} could not be made; Python's own message is above.")


def _require_space(folder: Path) -> None:
    """Before anything is written. An environment that was never finished makes room for the one to come."""
    if any(folder.glob(".installed-*")) or shutil.disk_usage(folder.parent).free >= FREE_BYTES_NEEDED:
        return
    shutil.rmtree(folder, ignore_errors=True)
    free = shutil.disk_usage(folder.parent).free
    if free < FREE_BYTES_NEEDED:
        _fail(
            f"The disk under {folder.parent} has {free / 1e9:.1f} GB left; installing takes "
            f"{FREE_BYTES_NEEDED / 1e9:.0f} GB. Free some space, or put the environment on another disk: "
            "make run VENV=/path/on/it"
        )


def _fingerprint() -> str:
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()


def _project() -> dict[str, object]:
    import tomllib

    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def _requirements(extras: list[str]) -> list[list[str]]:
    """What to install: the project's pins, then those of the extras, without installing the project itself."""
    project = _project()
    optional = dict(project["optional-dependencies"])  # type: ignore[call-overload]
    wanted: list[str] = list(project["dependencies"])  # type: ignore[call-overload]
    queue = list(extras)
    while queue:
        for requirement in optional[queue.pop()]:
            nested = re.fullmatch(r"parley\[(.+)\]", requirement)
            if nested:
                queue += nested.group(1).split(",")
            else:
                wanted.append(requirement)
    return [wanted]


# torch -----------------------------------------------------------------------------------------------------------


def _install_torch(python: Path) -> None:
    """torch first and alone: the same version comes with or without CUDA's gigabytes, and only a GPU needs those."""
    requirement = next(name for name in _requirements([])[0] if name.startswith("torch=="))
    version = requirement.split("==")[1]
    installed = subprocess.run(
        [python, "-c", "import importlib.metadata as metadata; print(metadata.version('torch'))"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    if installed.split("+")[0] == version:
        return
    index = os.environ.get("TORCH_INDEX")
    if index:
        _pip(python, "install", requirement, "--index-url", index)
        return
    if _has_gpu() or os.environ.get("TORCH") == "cuda":
        return
    _say("looking for a torch without CUDA")
    if _would_bring_cuda(python, requirement):
        _fail(
            f"pip would fetch {requirement} with CUDA: gigabytes that this machine, without an NVIDIA GPU, cannot\n"
            "use. Take the CPU build from PyTorch's own package index: pytorch.org, 'Get started', shows its address\n"
            "when you choose Linux, Pip, Python, CPU (what follows --index-url). Then:\n"
            "    make run TORCH_INDEX=<that address>\n"
            "or, to fetch CUDA all the same:\n"
            "    make run TORCH=cuda\n"
            "docs/install.md says more."
        )


def _has_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _would_bring_cuda(python: Path, requirement: str) -> bool:
    """Whether the torch that pip would choose asks for NVIDIA's packages. Fetches its metadata alone if it can."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
    pip = subprocess.Popen(
        [*command, "--report", "-", requirement], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    report, errors = _output_of(pip, meanwhile="still looking for a torch without CUDA")
    if pip.returncode:
        _explain_pip(errors)
    metadata = json.loads(report)["install"][0]["metadata"]
    if "+cpu" in metadata["version"] or sys.platform == "darwin":
        return False
    return any(re.match(r"nvidia-|cuda-|triton", name) for name in metadata.get("requires_dist", []))


# pip -------------------------------------------------------------------------------------------------------------


def _pip(python: Path, *arguments: str) -> None:
    """Runs pip with its output shown; on failure says what to do about it."""
    command = [str(python), "-m", "pip", *arguments, "--disable-pip-version-check", "--progress-bar", "on"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=None, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None  # noqa: S101 - just asked for it
    errors = []
    for line in process.stderr:
        sys.stderr.write(line)
        errors.append(line)
    if process.wait():
        _explain_pip("".join(errors))


def _output_of(process: subprocess.Popen[str], *, meanwhile: str) -> tuple[str, str]:
    """What the process wrote into our pipes, once it has ended; until then says every few seconds that it goes on."""
    while True:
        try:
            return process.communicate(timeout=LONGEST_SILENCE)
        except subprocess.TimeoutExpired:
            _say(meanwhile)


def _explain_pip(errors: str) -> NoReturn:
    if "No space left on device" in errors:
        _fail("The disk is full. Free some space and run the same command again: it goes on where it stopped.")
    if NO_NETWORK.search(errors):
        _fail(
            "pip cannot reach the package index: is this machine online, or does pip need a proxy or a mirror?\n"
            "    pip config set global.index-url <your mirror>      or      export HTTPS_PROXY=<your proxy>\n"
            "Then run the same command again: it goes on where it stopped."
        )
    sys.stderr.write(errors)
    _fail("pip failed; its own message is above. Run the same command again once that is mended.")


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} install | {text}\n")
    sys.stdout.flush()


def _fail(text: str) -> NoReturn:
    sys.stderr.write(f"parley: {text}\n")
    sys.exit(1)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("\nparley: stopped; the same command goes on from here.\n")
        sys.exit(130)
    except OSError as error:
        _fail(f"{error}. Is the disk full, or the folder not yours?")
