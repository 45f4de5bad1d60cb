"""Runs every benchmark beside this file, or those whose names are given: ``python -m tests.benchmarks load``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

PREFIX = "bench_"


def names() -> list[str]:
    """The benchmarks there are, without the prefix, in order."""
    return sorted(path.stem.removeprefix(PREFIX) for path in Path(__file__).parent.glob(f"{PREFIX}*.py"))


def run(wanted: list[str]) -> int:
    """Run the wanted ones, or all; 2 for a name that is none."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    for name in wanted or names():
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"tests.benchmarks.{PREFIX}{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
