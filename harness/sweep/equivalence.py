"""Cells that would run the same under this workload, though their arguments differ. Pure.

Same GPUs, version and model, and the same settings once defaults are filled in; a limit on sequences that is never
reached, and a length that no request comes near, count as none. Arguments outside the forecast's equations must be
alike to the letter. A cell without a forecast has no equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from harness.forecast.cell import Forecast
from harness.forecast.level import LevelForecast
from harness.forecast.load import Arrivals
from harness.forecast.settings import ResolvedSettings
from harness.plan.cells import Cell
from harness.plan.config import LengthConfig, WorkloadConfig
from harness.plan.engine import CellEngine
from harness.sweep.forecasts import CellForecast

# Requests running at a time may exceed the forecast's by chance, and by an uneven spread over engines.
CHANCE, UNEVEN = 1.25, 2.0
# A chat template, and what a tokenizer makes more of a text than was asked.
TEMPLATE_TOKENS = 64
SAME_CACHE = 0.05
NEVER_FULL = 0.9
_HALF = {"half": "float16"}


@dataclass(frozen=True, slots=True)
class Twin:
    """A cell that would run the same as an earlier one, ``of``, and why."""

    cell: Cell
    of: Cell
    reason: str


def twins(
    cells: Iterable[Cell], forecasts: Mapping[str, CellForecast], workload: WorkloadConfig
) -> list[Twin]:
    """Every cell that an earlier one stands for, in the order of the cells."""
    longest = longest_request(workload)
    first: dict[object, list[tuple[Cell, Forecast]]] = {}
    found = []
    for cell in cells:
        known = forecasts[cell.id]
        if known.forecast is None or known.engine is None or not known.forecast.levels:
            continue
        alike = first.setdefault(_key(cell, known.engine, known.forecast, longest), [])
        earlier = next((one for one in alike if _same_cache(one[1], known.forecast)), None)
        if earlier is None:
            alike.append((cell, known.forecast))
        else:
            found.append(Twin(cell, earlier[0], _why(earlier[1], known.forecast, longest)))
    return found


def longest_request(workload: WorkloadConfig) -> int | None:
    """Tokens of the longest request there can be, template included; None when nothing bounds it."""
    bounds = [_longest(workload.input_tokens), _longest(workload.output_tokens)]
    known = [bound for bound in bounds if bound is not None]
    return None if len(known) < 2 else sum(known) + workload.prefix_tokens + TEMPLATE_TOKENS


def _longest(length: LengthConfig) -> int | None:
    if length.distribution == "fixed":
        return None if length.mean is None else math.ceil(length.mean)
    return length.maximum


def most_running(level: LevelForecast, engines: int) -> float:
    """Requests that one engine may have to run at a time at this level, and no more."""
    spread = level.most_running * (CHANCE if engines == 1 else UNEVEN)
    closed = level.load.arrivals is Arrivals.CLOSED
    return min(spread, level.load.level) if closed else spread


def _key(cell: Cell, engine: CellEngine, forecast: Forecast, longest: int | None) -> tuple[object, ...]:
    """What must be equal for two cells to run the same."""
    settings, asked = forecast.settings, engine.settings
    engines = cell.replicas * asked.data_parallel
    if max(most_running(level, engines) for level in forecast.levels) <= settings.max_num_seqs:
        settings = replace(settings, max_num_seqs=0)
    if longest is not None and settings.max_model_len >= longest:
        settings = replace(settings, max_model_len=0)
    dtype = engine.model.dtype if asked.dtype == "auto" else asked.dtype
    quantization = asked.quantization or engine.model.quantization
    rest = replace(
        asked,
        max_model_len=None,
        max_num_seqs=None,
        max_num_batched_tokens=None,
        async_scheduling=None,
        quantization=quantization,
        dtype=_HALF.get(dtype, dtype),
    )
    place = (cell.gpu_type, cell.gpu_count, cell.replicas, cell.engine_version, cell.model)
    return (*place, settings, rest, engine.others)


def _same_cache(one: Forecast, other: Forecast) -> bool:
    """True when the caches are as good as alike in size, or neither is ever full."""
    if abs(one.memory.tokens - other.memory.tokens) <= SAME_CACHE * one.memory.tokens:
        return True
    return all(level.kv_share < NEVER_FULL for level in (*one.levels, *other.levels))


def _why(one: Forecast, other: Forecast, longest: int | None) -> str:
    a, b = one.settings, other.settings
    reasons = [_seqs(other, a, b)] if a.max_num_seqs != b.max_num_seqs else []
    if a.max_model_len != b.max_model_len:
        reasons.append(f"no request is longer than {longest} tokens (max-model-len {b.max_model_len})")
    return "; ".join(reasons) or "its arguments come to the same settings"


def _seqs(forecast: Forecast, one: ResolvedSettings, other: ResolvedSettings) -> str:
    most = max(level.most_running for level in forecast.levels)
    return (
        f"{most} requests run at a time at most (max-num-seqs {other.max_num_seqs}, {one.max_num_seqs} there)"
    )
