"""The models being served, by name: loading another beside them, swapping one for a newer version, taking one away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from inference.engine import Engine, Phase
from inference.errors import ModelNotFound, RequestError
from inference.generation import Delta, Generation
from inference.metrics import Metrics
from inference.settings import Settings

logger = logging.getLogger(__name__)
JOIN_SECONDS = 5.0


class ModelRegistry:
    """Engines by name. All methods belong to the event loop's thread; `on_crash` is called there, too."""

    def __init__(self, settings: Settings, *, metrics: Metrics, on_crash: Callable[[str], None]) -> None:
        self.settings = settings
        self.default = settings.model_name
        self._metrics = metrics
        self._on_crash = on_crash
        self._engines: dict[str, Engine] = {}
        self._retiring: set[Engine] = set()
        self._loading: set[Engine] = set()
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to load the default model; `engine` answers 503 until it is there."""
        engine = self._make_engine(self.settings)
        self._engines[self.default] = engine
        engine.start()

    @property
    def is_ready(self) -> bool:
        """Every model on offer can take a request."""
        return bool(self._engines) and all(engine.phase is Phase.READY for engine in self._engines.values())

    @property
    def phases(self) -> dict[str, str]:
        return {name: engine.phase.value for name, engine in self._engines.items()}

    @property
    def engines(self) -> list[Engine]:
        return list(self._engines.values())

    def engine(self, name: str | None) -> Engine:
        """The engine for `name`, or the default one. Raises ModelNotFound."""
        engine = self._engines.get(name or self.default)
        if engine is None:
            raise ModelNotFound(str(name), sorted(self._engines))
        return engine

    async def load(self, name: str, path: Path) -> Engine:
        """Serve the model at `path` as `name` once it has loaded; until then, a model of that name goes on serving.

        Raises RequestError when it cannot be loaded or is being loaded already.
        """
        if any(engine.name == name for engine in self._loading):
            raise RequestError(f"A model named {name} is being loaded already.", code="model_loading", param="name")
        engine = self._make_engine(replace(self.settings, model=path, name=name, device=self._device_for(name)))
        self._loading.add(engine)
        engine.start()
        try:
            await asyncio.to_thread(engine.settled.wait)
        finally:
            self._loading.discard(engine)
        if engine.phase is not Phase.READY:
            raise RequestError(
                engine.failure or "The model could not be loaded.", code="model_not_loaded", param="path"
            )
        replaced = self._engines.get(name)
        self._engines[name] = engine
        if replaced is not None:
            self._retire(replaced)
        logger.info("model on offer", extra={"model": name, "version": engine.model.version})
        return engine

    def _device_for(self, name: str) -> str:
        """Where the GPU that a model is served on has no room for its successor, that must not end up on the CPU."""
        serving = self._engines.get(name)
        if serving is None or serving.phase is not Phase.READY or serving.model.device.device == "cpu":
            return self.settings.device
        return serving.model.device.device

    def unload(self, name: str) -> None:
        """Take a model off the offer; replies in the making are finished. Raises RequestError for the last one."""
        engine = self.engine(name)
        if len(self._engines) == 1:
            raise RequestError(f"{name} is the only model here; load another first.", code="last_model")
        del self._engines[name]
        if self.default == name:
            self.default = next(iter(self._engines))
        self._retire(engine)

    async def close(self, seconds: float) -> None:
        """Drain all engines, for at most `seconds`."""
        engines = [*self._engines.values(), *self._retiring]
        for engine in engines:
            engine.drain()
        alive = [engine for engine in engines if engine.phase is not Phase.FAILED]
        await asyncio.gather(*(asyncio.to_thread(engine.join, seconds) for engine in alive))

    def _retire(self, engine: Engine) -> None:
        self._retiring.add(engine)
        engine.drain()
        task = asyncio.ensure_future(asyncio.to_thread(engine.join, self.settings.drain_seconds + JOIN_SECONDS))
        task.add_done_callback(lambda _task: self._retiring.discard(engine))

    def _make_engine(self, settings: Settings) -> Engine:
        engine = Engine(
            settings,
            metrics=self._metrics,
            deliver=self._deliver,
            on_failure=lambda: self._call_in_loop(self._on_engine_failure, engine),
        )
        return engine

    def _on_engine_failure(self, engine: Engine) -> None:
        if self._engines.get(engine.name) is engine:
            self._on_crash(f"{engine.name}: {engine.failure}")

    def _deliver(self, outbox: list[tuple[Generation, Delta]]) -> None:
        self._call_in_loop(_tell, outbox)

    def _call_in_loop(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed: nobody is left to tell
            logger.debug("event loop is gone")


def _tell(outbox: list[tuple[Generation, Delta]]) -> None:
    for generation, delta in outbox:
        generation.listener(delta)
