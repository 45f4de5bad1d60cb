"""Clocks for what is paid for: they go on while the machine sleeps, and no correction of its time moves them. I/O."""

from __future__ import annotations

import time
from collections.abc import Callable


def elapsed_s() -> float:
    """Seconds since some instant, those of a suspended machine included where the system counts them."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def steady_unix() -> Callable[[], float]:
    """Unix time as it is now, and from here on counted, not read: a clock that is set back moves nothing."""
    began = time.time() - elapsed_s()
    return lambda: began + elapsed_s()
