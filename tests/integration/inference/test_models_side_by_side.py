"""Several models on one server: beside each other, in each other's place, and broken ones that hurt nobody else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.inference.checkpoints import write_small_model
from tests.integration.inference.conftest import PATH, Server, start_server
from tests.waiting import wait_until

NAME = "smollm2-135m-instruct"


@pytest.fixture(scope="module")
def lone_server(tmp_path_factory: pytest.TempPathFactory, default_model: Path) -> Iterator[Server]:
    """A server of this module's own, for its models come and go."""
    running = start_server(tmp_path_factory.mktemp("swaps"), default_model)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


def ask(server: Server, **more: Any) -> Any:
    request = {"messages": [{"role": "user", "content": "Count."}], "ignore_eos": True, "max_tokens": 12, **more}
    return server.client.post(PATH, json=request)


def load(server: Server, name: str, path: Path) -> Any:
    return server.client.post("/admin/models", json={"name": name, "path": str(path)})


class Askers:
    """Clients that ask without a pause, streamed and whole, and keep what they were answered."""

    def __init__(self, server: Server, count: int, **request: Any) -> None:
        self.server, self.request = server, request
        self.versions: list[str] = []
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(index % 2 == 0,)) for index in range(count)]

    def __enter__(self) -> Askers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, stream: bool) -> None:
        while not self._ended.is_set():
            answer = ask(self.server, stream=stream, **self.request)
            if answer.status_code != 200 or '"finish_reason":"length"' not in answer.text:
                self.failures.append(answer.text)
                continue
            receipts = [json.loads(line)["parley"] for line in _objects(answer.text) if '"parley"' in line]
            self.versions.append(receipts[-1]["model_version"])


def _objects(text: str) -> list[str]:
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith(("data: {", "{"))]


def test_versions_change_under_load_without_a_request_lost(
    lone_server: Server, tmp_path: Path, default_model: Path
) -> None:
    small = write_small_model(tmp_path, default_model)
    with Askers(lone_server, 6) as askers:
        wait_until(lambda: len(askers.versions) > 5, seconds=60)
        first = askers.versions[0]
        versions = set()
        for path in (small, default_model):
            answer = load(lone_server, NAME, path)
            assert answer.status_code == 200
            assert answer.json()["phase"] == "ready"
            version = answer.json()["version"]
            versions.add(version)
            # Whoever asks after the answer gets the new version.
            assert ask(lone_server).json()["parley"]["model_version"] == version
            time.sleep(0.3)
    assert askers.failures == []
    assert set(askers.versions) == versions
    assert len(versions) == 2
    assert version == first


def test_two_models_answer_by_name_at_once(lone_server: Server, tmp_path: Path, default_model: Path) -> None:
    assert load(lone_server, "beside", write_small_model(tmp_path, default_model)).status_code == 200
    assert {model["id"] for model in lone_server.client.get("/v1/models").json()["data"]} == {NAME, "beside"}
    with Askers(lone_server, 2, model=NAME) as usual, Askers(lone_server, 2, model="beside") as beside:
        wait_until(lambda: len(usual.versions) > 3 and len(beside.versions) > 3, seconds=60)
    assert usual.failures == beside.failures == []
    assert {version.split("@")[0] for version in usual.versions} == {NAME}
    assert {version.split("@")[0] for version in beside.versions} == {"beside"}
    assert lone_server.client.delete("/admin/models/beside").json()["deleted"]
    assert ask(lone_server, model="beside").json()["error"]["code"] == "model_not_found"


def test_a_model_that_computes_nan_or_has_a_broken_template_fails_alone(
    lone_server: Server, tmp_path: Path, default_model: Path
) -> None:
    assert load(lone_server, "nan", write_small_model(tmp_path / "nan", default_model, is_spoilt=True)).is_success
    broken = write_small_model(tmp_path / "broken", default_model, template="{{ messages[99].content }}")
    assert load(lone_server, "broken", broken).is_success
    with Askers(lone_server, 2, model=NAME) as usual:
        for name, code in (("nan", "unusable_logits"), ("broken", "template_error")):
            for stream in (False, True):
                answer = ask(lone_server, model=name, stream=stream)
                assert f'"code":"{code}"' in answer.text
                assert answer.status_code == (200 if stream and name == "nan" else 400)
        wait_until(lambda: len(usual.versions) > 3, seconds=60)
    assert usual.failures == []
    assert lone_server.client.get("/readyz").status_code == 200
    for name in ("nan", "broken"):
        assert lone_server.client.delete(f"/admin/models/{name}").is_success


@pytest.mark.parametrize("damage", ["nowhere", "empty", "unknown family", "cut short"])
def test_what_cannot_be_loaded_is_said_and_leaves_the_others_serving(
    lone_server: Server, tmp_path: Path, default_model: Path, damage: str
) -> None:
    path = tmp_path / "model"
    if damage != "nowhere":
        path.mkdir()
    if damage == "unknown family":
        (path / "config.json").write_text('{"model_type": "mamba"}')
    if damage == "cut short":
        path = path / "model.gguf"
        path.write_bytes((default_model / "model.gguf").read_bytes()[:3_000_000])
    answer = load(lone_server, "other", path)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "model_not_loaded"
    assert ask(lone_server).status_code == 200
    assert lone_server.client.get("/readyz").status_code == 200


def test_the_last_model_stays(lone_server: Server) -> None:
    answer = lone_server.client.delete(f"/admin/models/{NAME}")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "last_model"
