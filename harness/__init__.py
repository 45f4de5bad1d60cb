"""A linter for vLLM engine parameters and a benchmark harness for Exoscale's Dedicated Inference API.

In notebooks: ``run = harness.load("results/demo")`` reads a run, ``run.cost("configs/prices.yaml")`` prices it,
``harness.compare(a, b)`` compares two. They bring in pandas when they are first called, not with ``import harness``.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "load", "open_run"]

_LAZY = {
    "open_run": ("harness.results.frame", "load"),
    "compare": ("harness.results.comparison", "compare_runs"),
}


def __getattr__(name: str) -> Any:
    """``load`` (the callable room), ``open_run`` and ``compare``, imported on first use."""
    import importlib

    if name == "load":
        return importlib.import_module("harness.load")
    if name in _LAZY:
        module, attribute = _LAZY[name]
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is here, and what comes when it is asked for."""
    return sorted({*globals(), *__all__})
