"""Compiles source/ into a shared library for this very processor, once, and keeps it."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from inference.errors import InferenceError

logger = logging.getLogger(__name__)
SOURCE = Path(__file__).parent / "source"
DEFAULT_CACHE = Path("var/kernels")
COMPILERS = ("c++", "g++", "clang++")
COMMON_FLAGS = ("-std=c++20", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread", "-ffp-contract=off", "-w")
# -ffp-contract=off: see multiply_add in source/simd.h. -w: GCC warns of its own headers.
TARGETS: dict[str, tuple[str, ...]] = {
    "native": ("-march=native",),
    "avx512-vnni": ("-march=native", "-mno-avx512bf16"),
    "avx512": ("-march=native", "-mno-avx512bf16", "-mno-avx512vnni"),
    "avx2": ("-march=haswell",),
    "portable": (),
}
"""Compiler flags by instruction set. All but `native` are for tests and for looking into a fault."""
LONGEST_BUILD = 300.0


class KernelsUnavailableError(InferenceError):
    """The library cannot be had on this machine; the message says why."""


def compiled(target: str = "native", *, cache: Path | None = None) -> Path:
    """The library built for `target`, from the cache when source, compiler, flags and processor are the same.

    Safe when several processes ask at once: one builds, the others wait. Raises KernelsUnavailableError.
    """
    compiler = find_compiler()
    folder = cache or Path(os.environ.get("INFERENCE_KERNELS_DIR", DEFAULT_CACHE))
    flags = (*COMMON_FLAGS, *TARGETS[target])
    path = folder.absolute() / f"decoder-{target}-{_key(compiler, flags)}.so"
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                _compile(compiler, flags, path)
    except OSError as error:
        raise KernelsUnavailableError(
            f"the kernels cannot be written under {folder}: {error.strerror or error}"
        ) from error
    return path


def find_compiler() -> str:
    """The path of a C++ compiler: CXX, or one of the usual names. Raises KernelsUnavailableError."""
    for name in (os.environ.get("CXX", ""), *COMPILERS):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise KernelsUnavailableError("there is no C++ compiler (Debian: apt-get install g++)")


def _key(compiler: str, flags: Sequence[str]) -> str:
    """What the binary depends on, as a short name."""
    digest = hashlib.sha256()
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False)  # noqa: S603 - found on PATH
    digest.update(version.stdout + " ".join(flags).encode() + _processor())
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> bytes:
    """The instruction sets of this processor: a cache may lie on a disk that several machines share."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return platform.machine().encode()
    return next((line for line in lines if line.startswith((b"flags", b"Features"))), platform.machine().encode())


def _compile(compiler: str, flags: Sequence[str], path: Path) -> None:
    logger.info("building the CPU kernels, once; this takes about ten seconds", extra={"compiler": compiler})
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".build-") as folder:
        built = Path(folder) / path.name
        command = [compiler, *flags, str(SOURCE / "library.cpp"), "-o", str(built)]
        try:
            result = subprocess.run(  # noqa: S603 - a compiler from PATH and our own sources
                command, capture_output=True, text=True, check=False, timeout=LONGEST_BUILD
            )
        except subprocess.TimeoutExpired as error:
            raise KernelsUnavailableError(f"{compiler} did not finish within {LONGEST_BUILD:.0f} s") from error
        if result.returncode:
            lines = result.stderr.strip().splitlines() or ["(no message)"]
            raise KernelsUnavailableError(
                f"{compiler} failed: {next((line for line in lines if 'error' in line), lines[-1])}"
            )
        built.replace(path)
