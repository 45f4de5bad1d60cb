"""Make this process one that is not kept from its event loop: for the load client's, and the simulator's, whose own
delays would be in the figures."""

from __future__ import annotations

import contextlib
import gc
import os

PRIORITY = -10


def steady_process() -> None:
    """Ask for priority, and keep the garbage collector short.

    Most systems give priority only to root. A full collection stops the loop for up to a tenth of a second, and nothing
    that lives long in these processes is cyclic.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1000)
