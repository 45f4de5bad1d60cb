"""Forecast points for the capacity question: a cell's levels at growing rates, until it misses the SLO. Pure.

One replica under Poisson arrivals, doubled until the SLO is missed, then halved in between to 5 %. The figures come
from ``harness.forecast``: a quarter off either way is usual, and every option says that it is a forecast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.capacity.fleet import FORECAST, Excluded, MeasuredPoint
from harness.forecast.cell import forecast_cell
from harness.forecast.known import KnownLevels
from harness.forecast.level import LevelForecast
from harness.forecast.load import Arrivals, Load
from harness.forecast.startup_check import start_failure
from harness.forecast.step import Constants
from harness.load import lengths as length
from harness.load.slo import Bound, Slo
from harness.plan.cells import Cell
from harness.plan.engine import UnknownEngine, engine_of

LOWEST_RATE = 0.125
HIGHEST_RATE = 1024.0
PRECISION = 0.05
KEEPS_UP = (
    0.9  # a replica that finishes less than this share of what arrives is behind, whatever its latencies
)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Mean tokens of prompts and answers, and how far they spread: the sigma of their logarithm."""

    input_tokens: float
    output_tokens: float
    input_sigma: float = 0.0
    output_sigma: float = 0.0

    @staticmethod
    def of(prompts: length.Lengths, answers: length.Lengths) -> Lengths:
        """The lengths of a workload; a spread of another shape is taken for a log-normal of the same width."""
        means = length.mean_length(prompts), length.mean_length(answers)
        return Lengths(*means, length.log_sigma(prompts), length.log_sigma(answers))

    def load(self, rate_req_s: float, *, requests: int | None = None) -> Load:
        """Poisson arrivals at a rate, of these lengths."""
        return Load(
            Arrivals.POISSON,
            rate_req_s,
            self.input_tokens,
            self.output_tokens,
            requests=requests,
            input_sigma=self.input_sigma,
            output_sigma=self.output_sigma,
        )


def forecast_points(
    cell: Cell,
    lengths: Lengths,
    slo: Slo,
    *,
    model_config: Mapping[str, object] | None = None,
    constants: Constants | None = None,
    known: KnownLevels | None = None,
) -> list[MeasuredPoint] | Excluded:
    """The levels of one replica of the cell; Excluded when it cannot start, or is outside what the model covers.

    ``model_config`` is the model's ``config.json``; without one the packaged table must know the model.
    ``constants`` are a calibration's, ``known`` the levels of cells before this one, which saves runs.
    """
    engine = engine_of(cell, model_config)
    if isinstance(engine, UnknownEngine):
        return Excluded(cell.label, engine.reason)
    failure = start_failure(engine.model, engine.gpu, cell.gpu_count, engine.settings)
    if failure is not None:
        return Excluded(cell.label, f"would not start: {failure.message.split('. ')[0]}")
    label = replace(cell, replicas=1).label

    def point_at(rate: float) -> MeasuredPoint:
        # The same seed at every rate, so that rates are compared on the same requests.
        found = forecast_cell(
            engine.model,
            engine.gpu,
            engine.settings,
            gpu_count=cell.gpu_count,
            loads=(lengths.load(rate),),
            seed=1,
            constants=constants,
            known=known,
        )
        return _point(cell, label, found.levels[0], slo)

    return _search(point_at)


def _search(point_at: Callable[[float], MeasuredPoint]) -> list[MeasuredPoint]:
    """Points at doubling rates up to the first miss, and by halving between that and the last that kept the SLO."""
    points: list[MeasuredPoint] = []
    rate = LOWEST_RATE
    while rate <= HIGHEST_RATE:
        points.append(point_at(rate))
        if points[-1].miss is not None:
            break
        rate *= 2
    if len(points) < 2 or points[-1].miss is None:
        return points
    low, high = points[-2].rate_req_s, points[-1].rate_req_s
    while high - low > PRECISION * low:
        middle = point_at((low + high) / 2)
        points.append(middle)
        low, high = (middle.rate_req_s, high) if middle.miss is None else (low, middle.rate_req_s)
    return points


def _point(cell: Cell, label: str, level: LevelForecast, slo: Slo) -> MeasuredPoint:
    rate = level.load.level
    return MeasuredPoint(
        cell_id=replace(cell, replicas=1).id,
        label=label,
        gpu_type=cell.gpu_type,
        gpu_count=cell.gpu_count,
        replicas=1,
        load=f"{rate:.3g} req/s",
        rate_req_s=rate,
        concurrency=rate * (level.e2e_s.mean or 1.0),  # Little: requests in flight; orders the levels
        miss=miss(level, slo),
        output_tokens_per_request=level.load.output_tokens,
        e2e_mean_s=level.e2e_s.mean,
        source=FORECAST,
    )


def miss(level: LevelForecast, slo: Slo) -> str | None:
    """Which bound the level misses and what binds it there; None when it keeps the SLO and keeps up."""
    for bound in slo.bounds:
        reached = reached_s(level, bound)
        if reached is not None and reached > bound.limit_s:
            return f"{bound.missed(reached)} ({level.binding})"
    if level.refused:
        return f"{level.refused} requests are too long for it"
    if keeping_up(level) < 1:
        return (
            f"finishes {level.request_throughput:.2f} of {level.load.level:.2f} requests/s ({level.binding})"
        )
    return None


def keeping_up(level: LevelForecast) -> float:
    """What it finishes of what arrives, over the share that counts as keeping up; infinite in a closed loop."""
    open_loop = level.load.arrivals in (Arrivals.POISSON, Arrivals.CONSTANT)
    return level.request_throughput / (KEEPS_UP * level.load.level) if open_loop else math.inf


def reached_s(level: LevelForecast, bound: Bound) -> float | None:
    """The figure that the bound is on, in seconds; None for one that is not forecast."""
    if bound.metric in ("ttft", "tpot"):
        each = level.ttft_each_s if bound.metric == "ttft" else level.tpot_each_s
        known = each[np.isfinite(each)]
        return float(np.percentile(known, bound.percentile)) if len(known) else None
    quantiles = {"itl": level.itl_s, "e2e": level.e2e_s}.get(bound.metric)
    value: float | None = getattr(quantiles, f"p{bound.percentile:g}", None)
    return value
