"""The engines under comparison, each a process of its own on a loopback port. Nothing here is needed to serve."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path("var/bench")
LLAMA_PACKAGE = "llama-cpp-python==0.3.36"
OPENVINO_PACKAGE = "openvino-genai==2026.4.1.0"
START_PATIENCE = 180.0
SLOTS = 32
POSITIONS_PER_SLOT = 1536
TRANSFORMERS_BLOCK = 256


class PeerAbsentError(Exception):
    """This engine cannot be set up here; the message says why, and the report shows it."""


class Peer(ABC):
    """An engine that can be prepared (built, installed), started, measured and stopped."""

    name: str

    def __init__(self, model: Path, *, threads: int) -> None:
        self.model = model
        self.threads = threads
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    def prepare(self) -> list[str]:
        """The command that serves, after building what it needs. Raises PeerAbsentError."""

    def start(self) -> float:
        """Start it and wait until it answers; seconds that took. Raises PeerAbsentError."""
        command = self.prepare()
        began = time.monotonic()
        FOLDER.mkdir(parents=True, exist_ok=True)
        with (FOLDER / f"{self.name}.log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - commands that this module wrote
                command, stdout=log, stderr=log, env=self.environment()
            )
        while time.monotonic() - began < START_PATIENCE:
            if self._process.poll() is not None:
                raise PeerAbsentError(f"it ended at once; see {FOLDER / self.name}.log")
            if self._is_ready():
                return time.monotonic() - began
            time.sleep(0.05)
        self.stop()
        raise PeerAbsentError(f"it was not ready within {START_PATIENCE:.0f} s")

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}{self.ready_path}", timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def request(self, new_tokens: int) -> dict[str, Any]:
        """What this engine must be asked for besides the chat, so that every reply has exactly `new_tokens` tokens."""
        return {"model": "default", "max_tokens": new_tokens, "temperature": 0, "ignore_eos": True}

    ready_path = "/health"

    def resident_megabytes(self) -> float:
        """Memory it holds now, weights and cache together."""
        assert self._process is not None  # noqa: S101 - measured between start and stop
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class Parley(Peer):
    """This service, as `python -m inference serve` starts it."""

    name = "parley"
    ready_path = "/readyz"

    def prepare(self) -> list[str]:
        return [
            *(sys.executable, "-m", "inference", "serve", "--model", str(self.model), "--name", "default"),
            *("--port", str(self.port), "--threads", str(self.threads), "--slots", str(SLOTS)),
        ]

    def environment(self) -> dict[str, str]:
        # One anonymous client holds every slot here, which the fair share of a user would forbid.
        return super().environment() | {"INFERENCE_USER_SLOTS": str(SLOTS), "INFERENCE_LOG_LEVEL": "WARNING"}


class LlamaServer(Peer):
    """llama.cpp's server, built here with this processor's instructions; continuous batching is its default."""

    name = "llama.cpp"

    def prepare(self) -> list[str]:
        binary = Path(os.environ.get("LLAMA_SERVER", "") or build_llama_server())
        return [
            *(str(binary), "-m", str(self.model), "--host", "127.0.0.1", "--port", str(self.port)),
            *("-t", str(self.threads), "-tb", str(self.threads), "-np", str(SLOTS), "-fa", "off"),
            *("-c", str(SLOTS * POSITIONS_PER_SLOT)),
        ]


def build_llama_server() -> Path:
    """The server out of the sources that llama-cpp-python ships, built once. Raises PeerAbsentError."""
    target = FOLDER / "llama.cpp"
    binary = target / "bin" / "llama-server"
    if binary.exists():
        return binary
    if not shutil.which("cmake") or not shutil.which("c++"):
        raise PeerAbsentError("building it needs cmake and a C++ compiler")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        _run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "--no-binary",
                ":all:",
                LLAMA_PACKAGE,
                "-d",
                folder,
            ]
        )
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        source = next(Path(folder).glob("*/vendor/llama.cpp"))
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF", "-DLLAMA_BUILD_TESTS=OFF"]
        _run(["cmake", "-S", str(source), "-B", str(target), *options])
        _run(["cmake", "--build", str(target), "--target", "llama-server", "-j", str(os.cpu_count() or 1)])
    return binary


class OpenVINO(Peer):
    """OpenVINO GenAI's continuous batching with prefix caching, in a virtual environment of its own."""

    name = "openvino"

    def prepare(self) -> list[str]:
        python = FOLDER / "openvino" / "bin" / "python"
        if not python.exists():
            _run([sys.executable, "-m", "venv", str(python.parent.parent)])
        try:
            _run([str(python), "-c", "import openvino_genai"])
        except PeerAbsentError:
            _run([str(python), "-m", "pip", "install", "-q", OPENVINO_PACKAGE])
        script = Path(__file__).with_name("openvino_server.py")
        return [str(python), str(script), str(self.model), str(self.port), str(self.threads), str(SLOTS)]

    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


class Transformers(Peer):
    """`transformers serve` with continuous batching and paged attention, on the file's weights in bfloat16."""

    name = "transformers"

    @property
    def weights(self) -> Path:
        """Where this very file's weights lie once they are unpacked."""
        status = self.model.stat()
        key = f"{self.model} {status.st_size} {status.st_mtime_ns}"
        return FOLDER / f"transformers-{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    def prepare(self) -> list[str]:
        try:
            _run([sys.executable, "-c", "import fastapi, gguf, transformers"])
        except PeerAbsentError as error:
            raise PeerAbsentError("it comes with `pip install -e '.[dev]'`") from error
        if not self.weights.exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            script = Path(__file__).with_name("transformers_weights.py")
            _run([sys.executable, str(script), str(self.model), str(self.weights)])
        return [
            *(sys.executable, "-m", "transformers.cli.transformers", "serve", str(self.weights)),
            *("--continuous-batching", "--device", "cpu", "--dtype", "bfloat16"),
            # Left to itself it takes most of the machine's memory for its cache.
            *("--cb-num-blocks", str(SLOTS * POSITIONS_PER_SLOT // TRANSFORMERS_BLOCK)),
            *("--cb-block-size", str(TRANSFORMERS_BLOCK)),
            *("--host", "127.0.0.1", "--port", str(self.port)),
        ]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(self.threads)}

    def request(self, new_tokens: int) -> dict[str, Any]:
        # It knows no `ignore_eos`; a reply ends where a token comes that no vocabulary has.
        endless = {"max_new_tokens": new_tokens, "eos_token_id": -1, "do_sample": False}
        return {"model": str(self.weights), "max_tokens": new_tokens, "generation_config": json.dumps(endless)}


PEERS: dict[str, type[Peer]] = {kind.name: kind for kind in (Parley, LlamaServer, OpenVINO, Transformers)}


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - written above
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["(no message)"]
        raise PeerAbsentError(f"`{command[0]} {command[1]}` failed: {lines[-1]}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
