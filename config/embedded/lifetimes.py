"""A child that goes when its parent goes: nothing is left behind when the parent is killed with SIGKILL."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def stop_with_parent(stop_signal: signal.Signals) -> None:
    """Have the kernel send `stop_signal` to this process when the thread that started it ends (Linux only).

    Call it after giving up privileges, which clears it, and before exec, which keeps it.
    """
    if hasattr(_libc, "prctl"):
        _libc.prctl(_PR_SET_PDEATHSIG, int(stop_signal))
        if os.getppid() == 1:
            # Either the parent died before we asked, or the parent is a container's first process, which outlives us.
            return
