"""Drive one endpoint and measure it.

The package is callable besides: ``harness.load("results/demo")`` reads a run back (``harness.results.frame.load``).
The call goes through the front door, since this room knows nothing of results.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any


class _CallableRoom(types.ModuleType):
    def __call__(self, path: str | Path) -> Any:
        """The run in a results folder, as pandas frames: ``harness.load("results/demo").levels``.

        ``cells``, ``runs``, ``points``, ``levels`` and ``requests`` are frames; ``cost(prices)``, ``pareto()``,
        ``meets(slo)`` and ``plots()`` work on them. ConfigError when the folder holds no run.
        """
        import harness

        return harness.open_run(path)


# `import harness.load.…` anywhere binds this package to the name that notebooks call, so the package must answer.
sys.modules[__name__].__class__ = _CallableRoom
