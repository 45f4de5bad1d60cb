"""Measured levels in the forecast's terms: what ran, under which load, and the figures it can be held against. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.errors import UsageError
from harness.forecast.calibration import METRICS, Observation
from harness.forecast.load import Arrivals, Load
from harness.forecast.startup_check import start_failure
from harness.load.lengths import Lengths, lengths_from_json, log_sigma, mean_length
from harness.load.verdict import VALID
from harness.plan.engine import CellEngine, UnknownEngine
from harness.results.hardware import SEVERAL_ANSWERS, engine_in
from harness.results.resolved import Resolved

ARRIVALS = {
    "closed-loop": Arrivals.CLOSED,
    "poisson-rate": Arrivals.POISSON,
    "constant-rate": Arrivals.CONSTANT,
}
# Rounds of a closed loop that are forecast: enough for its throughput to be counted without its ends.
ROUNDS = 6
FEWEST_REQUESTS = 60


@dataclass(frozen=True, slots=True)
class ObservedLevel:
    """A level of a cell; ``began`` orders cells by when they were measured.

    ``is_believed``: valid, whole, and of an engine that the forecast lets start: constants can be held against it.
    """

    observation: Observation
    label: str
    load: str
    began: float
    is_believed: bool


def observed(resolved: Resolved, levels: pd.DataFrame) -> tuple[list[ObservedLevel], str | None]:
    """Every measured level that can be forecast, and why there is none where there is none."""
    if levels.empty:
        return [], "nothing was measured"
    lengths = _lengths(resolved)
    if isinstance(lengths, str):
        return [], lengths
    cells = {cell.id: cell for cell in resolved.cells}
    engines = {cell_id: engine_in(resolved, cells[cell_id]) for cell_id in dict.fromkeys(levels["cell_id"])}
    found = []
    for _, row in levels.iterrows():
        engine = engines[row["cell_id"]]
        load = None if isinstance(engine, UnknownEngine) else _load(row, lengths, resolved)
        if load is not None and isinstance(engine, CellEngine):
            cell = cells[row["cell_id"]]
            found.append(_observed(row, engine, load, gpu_count=cell.gpu_count, replicas=cell.replicas))
    if found:
        return found, None
    unknown = [engine.reason for engine in engines.values() if isinstance(engine, UnknownEngine)]
    return [], next(iter(unknown), "the forecast's model has one rate a level, and here they change")


def _observed(
    row: pd.Series[Any], engine: CellEngine, load: Load, *, gpu_count: int, replicas: int
) -> ObservedLevel:
    columns = ("tpot_mean_s", "output_throughput_tok_s", "ttft_p50_s")
    figures = {
        metric: float(row[column])
        for metric, column in zip(METRICS, columns, strict=True)
        if pd.notna(row[column]) and row[column] > 0
    }
    observation = Observation(
        name=f"{row['label']} at {row['load']}",
        cell_id=str(row["cell_id"]),
        model=engine.model,
        gpu=engine.gpu,
        settings=engine.settings,
        gpu_count=gpu_count,
        replicas=replicas,
        load=load,
        figures=figures,
    )
    starts = start_failure(engine.model, engine.gpu, gpu_count, engine.settings) is None
    believed = row["verdict"] == VALID and not row["interrupted"] and starts and bool(observation.judged)
    began = float(row["started_at_unix"])
    return ObservedLevel(observation, str(row["label"]), str(row["load"]), began, bool(believed))


def _lengths(resolved: Resolved) -> tuple[Lengths, Lengths] | str:
    """Of prompts and answers, as they were asked for; a text says why they cannot be forecast."""
    workload = resolved.workload
    if resolved.deployer == "local":
        return "the GPU of an engine on this machine is whatever the machine has"
    if workload.get("conversations"):
        return "conversations are not in the forecast's model"
    if workload.get("items"):
        return "the lengths of given prompts are known to the engine alone"
    extra = workload.get("extra")
    if isinstance(extra, Mapping) and any(extra.get(key) for key in SEVERAL_ANSWERS):
        return "several answers to a request are not in the forecast's model"
    try:
        prompts, answers = (
            lengths_from_json(workload.get(key, workload.get(key.replace("_", "-"))))
            for key in ("input_tokens", "output_tokens")
        )
    except UsageError as error:
        return f"its lengths are not known: {error}"
    return prompts, answers


def _load(row: pd.Series[Any], lengths: tuple[Lengths, Lengths], resolved: Resolved) -> Load | None:
    """The load of a level; None for one whose rate changes, and for bursts of another shape."""
    arrivals = ARRIVALS.get(str(row["arrivals"]))
    level = row["concurrency"] if arrivals is Arrivals.CLOSED else row["rate_req_s"]
    if arrivals is None or pd.isna(level):
        return None
    prompts, answers = lengths
    shared = resolved.workload.get("shared_prefixes") or {}
    prefix = int(shared.get("tokens", 0))
    rounds = max(FEWEST_REQUESTS, round(ROUNDS * level)) if arrivals is Arrivals.CLOSED else None
    return Load(
        arrivals,
        float(level),
        mean_length(prompts) + prefix,
        mean_length(answers),
        requests=rounds,
        input_sigma=log_sigma(prompts),
        output_sigma=log_sigma(answers),
        shared_prefix_tokens=prefix if shared.get("groups") == 1 else 0,
    )
