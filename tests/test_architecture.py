"""The layer table and the list of pure modules, held against the imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HARNESS = Path(__file__).resolve().parent.parent / "harness"

# Lowest first. A room imports only rooms on lines below its own; rooms on one line do not import each other.
LAYERS = (
    ("diagnostics", "units", "secret"),
    ("errors",),
    ("forecast",),
    ("params", "load"),
    ("plan", "exoscale"),
    ("results",),
    ("capacity",),
    ("sweep",),
    ("simulator",),
    ("cli",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}

# No I/O, no clock, no randomness except a generator passed in.
PURE = (
    "diagnostics",
    "secret",
    "units",
    "forecast",
    "params",
    "plan/matrix.py",
    "plan/vllm_bench.py",
    "plan/vllm_params.py",
    "plan/vllm_sweep.py",
    "load/arrivals.py",
    "load/clocks.py",
    "load/columns.py",
    "load/conversations.py",
    "load/definitions.py",
    "load/lengths.py",
    "load/levels.py",
    "load/log.py",
    "load/merge.py",
    "load/metrics.py",
    "load/modes.py",
    "load/outlook.py",
    "load/pipe.py",
    "load/prompts.py",
    "load/records.py",
    "load/request.py",
    "load/response.py",
    "load/reuse.py",
    "load/search.py",
    "load/slo.py",
    "load/source.py",
    "load/sse.py",
    "load/stage.py",
    "load/throughput.py",
    "load/timetable.py",
    "load/verdict.py",
    "load/workload.py",
    "plan/cells.py",
    "plan/deployment_body.py",
    "plan/engine.py",
    "plan/request_lengths.py",
    "plan/startable.py",
    "plan/unchecked.py",
    "results/compare.py",
    "results/account.py",
    "results/spending.py",
    "results/hardware.py",
    "results/observing.py",
    "results/predictions.py",
    "results/stats.py",
    "results/exchange/guidellm.py",
    "results/exchange/guidellm_distributions.py",
    "results/exchange/guidellm_metrics.py",
    "results/exchange/guidellm_requests.py",
    "results/exchange/llmd.py",
    "results/exchange/openmetrics.py",
    "results/exchange/vllm.py",
    "sweep/budget.py",
    "sweep/classify.py",
    "plan/pruning.py",
    "sweep/equivalence.py",
    "sweep/estimates.py",
    "sweep/failures.py",
    "sweep/forecasts.py",
    "sweep/loads.py",
    "sweep/pacing.py",
    "sweep/pruning.py",
    "sweep/running.py",
    "sweep/starts.py",
    "sweep/states.py",
    "simulator/fleet.py",
    "capacity",
)
# Data that ships inside the package is read in these, at the door.
DATA_DOORS = {"params/snapshots.py", "params/engine_facts.py", "forecast/tables.py"}
IMPURE_IMPORTS = {
    "asyncio", "http", "httpx", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil",
    "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uvloop",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "exec", "eval"}


def modules() -> list[Path]:
    found = sorted(HARNESS.rglob("*.py"))
    assert len(found) > 20
    return found


def room_of(path: Path) -> str | None:
    relative = path.relative_to(HARNESS)
    name = relative.parts[0].removesuffix(".py")
    return None if name in {"__init__", "__main__"} else name


def imports_of(path: Path) -> list[tuple[str, int]]:
    """Absolute names of everything a module imports, wherever in it, with the line."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def test_every_room_is_in_the_layer_table() -> None:
    rooms = {room_of(path) for path in modules()} - {None}
    assert rooms <= set(LEVEL)
    assert {"params", "load", "plan", "exoscale", "results", "sweep", "simulator", "cli"} <= rooms


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(HARNESS)))
def test_imports_point_downward(path: Path) -> None:
    room = room_of(path)
    if room is None:
        return  # the package's own front door may reach any room
    for name, line in imports_of(path):
        parts = name.split(".")
        if parts[0] != "harness" or len(parts) < 2 or parts[1] == room or parts[1] == "__version__":
            continue
        assert parts[1] in LEVEL, f"{path}:{line} imports unknown room {parts[1]}"
        assert LEVEL[parts[1]] < LEVEL[room], f"{path}:{line}: {room} may not import {parts[1]}"


def pure_modules() -> list[Path]:
    found: list[Path] = []
    for entry in PURE:
        target = HARNESS / entry
        if entry.endswith(".py"):
            candidates = [target]
        elif target.is_dir():
            candidates = sorted(target.rglob("*.py"))
        else:
            candidates = [HARNESS / f"{entry}.py"]
        found += [path for path in candidates if str(path.relative_to(HARNESS)) not in DATA_DOORS]
    return found


@pytest.mark.parametrize("path", pure_modules(), ids=lambda path: str(path.relative_to(HARNESS)))
def test_pure_modules_do_no_input_or_output(path: Path) -> None:
    assert path.exists(), "a pure module named in the list is gone"
    for name, line in imports_of(path):
        assert name.split(".")[0] not in IMPURE_IMPORTS, f"{path}:{line} imports {name}"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_CALLS, f"{path}:{node.lineno} calls {node.func.id}()"
