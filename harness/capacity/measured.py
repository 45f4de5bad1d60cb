"""Measured points for the capacity question, from a run's levels. Pure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from harness.capacity.fleet import MeasuredPoint
from harness.load.slo import Bound, Slo
from harness.load.verdict import VOID

# Whole ends would size a fleet by the rounds of a closed loop that a short window happens to hold.
RATE = "steady_request_throughput_req_s"
COLUMN_PERCENTILES = (50.0, 90.0, 95.0, 99.0)


def measured_points(levels: pd.DataFrame, slo: Slo, *, simulated: bool) -> list[MeasuredPoint]:
    """One point a row of ``levels``, which must have been judged against this SLO (``meets_slo``)."""
    points = []
    for _, level in levels.iterrows():
        sent = float(level["requests_succeeded"])
        points.append(
            MeasuredPoint(
                cell_id=str(level["cell_id"]),
                label=str(level["label"]),
                gpu_type=str(level["gpu_type"]),
                gpu_count=int(level["gpu_count"]),
                replicas=int(level["replicas"]),
                load=str(level["load"]),
                rate_req_s=float(level[RATE]),
                concurrency=float(level["achieved_concurrency"]),
                miss=None if level["meets_slo"] else miss(level, slo),
                void=level["verdict"] == VOID,
                output_tokens_per_request=_per_request(level) if sent else None,
                e2e_mean_s=_known(level["e2e_mean_s"]),
                source="simulated" if simulated else "measured",
                run_ids=tuple(str(level["run_ids"]).split()),
            )
        )
    return points


def miss(level: pd.Series[Any], slo: Slo) -> str:
    """Which bound the level missed, and by how much: ``ttft_p95 1410 ms > 1000 ms``."""
    for bound in slo.bounds:
        reached = _reached(level, bound)
        if reached is not None and reached > bound.limit_s:
            return bound.missed(reached)
    failed = int(level["requests_failed"])
    if failed:
        return f"{failed} failed requests count as late"
    return "the SLO was missed in a repeat"


def _reached(level: pd.Series[Any], bound: Bound) -> float | None:
    if bound.percentile not in COLUMN_PERCENTILES:
        return None
    return _known(level.get(f"{bound.metric}_p{bound.percentile:g}_s"))


def _per_request(level: pd.Series[Any]) -> float | None:
    """Output tokens a request: the ratio of the two throughputs, so that a cost is the price over the tokens/s."""
    rate = float(level[RATE])
    return float(level["output_throughput_tok_s"]) / rate if rate > 0 else None


def _known(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
