"""What the builder says while it works: its log, kept for the layer report, and its progress, told to people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Progress = Callable[[str, float], None]
"""Told what is being done, and how much of it, from 0 to 1."""


def make_logger(trt: Any, lines: list[tuple[str, str]]) -> Any:
    """A logger that keeps every line as (severity, text). NVIDIA wants a subclass, and that wants the package."""

    class KeepingLogger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            lines.append((severity.name, msg))

    return KeepingLogger()


def make_monitor(trt: Any, progress: Progress) -> Any:
    """A progress monitor for the builder's outermost phase."""

    class OutermostPhase(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if not parent_phase:
                self.steps[phase_name] = num_steps
                progress(phase_name, 0.0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if self.steps.get(phase_name):
                progress(phase_name, (step + 1) / self.steps[phase_name])
            return True

        def phase_finish(self, phase_name: str) -> None:
            if self.steps.pop(phase_name, None):
                progress(phase_name, 1.0)

    return OutermostPhase()
