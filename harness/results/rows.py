"""The rows of a run's frames, from its plan, its account and its records (columns: ``results/README.md``). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.plan.cells import Cell
from harness.results.account import RunAccount, SweepAccount
from harness.results.point import Point

POINT_KEYS = ("run_id", "cell_id", "repeat", "point")
FOUND_BY = ("run_id", "cell_id", "repeat")
SEARCH_COLUMNS = (
    *FOUND_BY, "level", "search", "find", "answer", "resolved", "best", "beyond", "steps", "point",
)  # fmt: skip


def cell_rows(cells: Sequence[Cell], account: SweepAccount) -> Iterator[dict[str, Any]]:
    """One row a cell; its ``state`` is the best that its repeats came to."""
    labels = unique_labels(cells)
    for cell in dict.fromkeys(cells):
        runs = [run for run in account.runs if run.cell_id == cell.id]
        states = [run.state.value for run in runs]
        ready = [run.time_to_ready_s for run in runs if run.time_to_ready_s is not None]
        yield {
            "cell_id": cell.id,
            "label": labels[cell.id],
            "gpu_type": cell.gpu_type,
            "gpu_count": cell.gpu_count,
            "replicas": cell.replicas,
            "gpus": cell.gpus,
            "engine_version": cell.engine_version,
            "model": cell.model,
            "parameter_set": cell.parameter_set,
            "parameters": " ".join(cell.parameters),
            **{f"axis_{name.replace('-', '_')}": value for name, value in cell.axes.items()},
            "state": "measured" if "measured" in states else states[0],
            "reason": next((run.reason for run in runs if run.reason), None),
            "runs_measured": states.count("measured"),
            "time_to_ready_s": float(np.median(ready)) if ready else np.nan,
        }


def run_row(run: RunAccount) -> dict[str, Any]:
    """One run: its state, why, and its time to ready."""
    return {
        **of_run(run),
        "state": run.state.value,
        "cause": run.cause,
        "detail": run.detail,
        "phase": run.phase,
        "time_to_ready_s": np.nan if run.time_to_ready_s is None else run.time_to_ready_s,
        "points": len(run.points),
        "deleted": run.deleted,
    }


def search_row(run: RunAccount, told: Mapping[str, Any], points: pd.DataFrame) -> dict[str, Any]:
    """What a search of a run found; ``points`` are the run's, among which ``point`` is the one at ``best``."""
    row = {name: told.get(name) for name in SEARCH_COLUMNS if name not in FOUND_BY}
    steps, best = told.get("steps") or (), told.get("best")
    point = np.nan
    if len(points) and best is not None:
        loads = points["concurrency" if told.get("find") == "knee" else "rate_req_s"].astype(float)
        at_best = points[points["point"].isin(steps) & np.isclose(loads, best)]
        point = next(iter(at_best["point"]), np.nan)
    return {**of_run(run), **row, "search": told.get("label"), "steps": len(steps), "point": point}


def of_run(run: RunAccount) -> dict[str, Any]:
    """The columns that say which run."""
    return {"run_id": run.run_id, "cell_id": run.cell_id, "repeat": run.repeat}


def unique_labels(cells: Sequence[Cell]) -> dict[str, str]:
    """The label of each cell by id; cells of one label are told apart by their model, else by their id."""
    labels = {cell.id: cell.label for cell in cells}
    for extra in ("model", "id"):
        shared = {label for label, count in Counter(labels.values()).items() if count > 1}
        labels |= {
            cell.id: f"{labels[cell.id]} {str(getattr(cell, extra)).rsplit('/', 1)[-1]}"
            for cell in dict.fromkeys(cells)
            if labels[cell.id] in shared
        }
    return labels


def request_frame(point: Point) -> pd.DataFrame:
    """One row a request of the point."""
    columns, meta = point.columns, point.meta
    frame = pd.DataFrame(
        {
            **columns.floats,
            **{name: np.where(values < 0, np.nan, values) for name, values in columns.integers.items()},
            **columns.flags,
            "outcome": columns.outcomes,
            "detail": columns.details,
            "finish_reason": columns.finish_reasons,
            "chunks": np.diff(columns.offsets),
        }
    )
    frame["index"] = columns.integers["index"]
    for position, key in enumerate(POINT_KEYS):
        frame.insert(position, key, getattr(meta, key))
    frame["ttft_s"] = frame["first_token_s"] - frame["sent_s"]
    frame["e2e_s"] = frame["last_token_s"] - frame["sent_s"]
    frame["lateness_s"] = frame["sent_s"] - frame["scheduled_s"]
    return frame


def chunk_frame(point: Point) -> pd.DataFrame:
    """One row a chunk of the point."""
    columns = point.columns
    owner = np.repeat(np.arange(len(columns)), np.diff(columns.offsets))
    frame = pd.DataFrame(
        {
            "warmup": columns.flags["warmup"][owner],
            "index": columns.integers["index"][owner],
            "time_s": columns.chunk_times_s,
            "tokens": columns.chunk_tokens,
        }
    )
    frame.insert(0, "run_id", point.meta.run_id)
    frame.insert(1, "point", point.meta.point)
    return frame
