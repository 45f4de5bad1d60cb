"""Goodput and attainment: which requests met an SLO, failures counting against it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.load.columns import Columns, Floats
from harness.load.figures import Mask, RequestFigures
from harness.load.records import Outcome
from harness.load.slo import Bound, Slo
from harness.load.summary import adjusted_percentiles, wilson_interval


@dataclass(frozen=True, slots=True)
class Goodput:
    """``goodput_req_s`` requests per second met every bound; ``attainment`` is their share of all that ended,
    ``of_succeeded`` of those that ended well.

    ``low`` and ``high`` bound the attainment (95 %, Wilson). ``met`` says whether the stage as a whole keeps the SLO,
    its percentiles taken with failures as infinitely late. None when no request ended.
    """

    goodput_req_s: float
    attainment: float | None
    of_succeeded: float
    low: float
    high: float
    met: bool | None


def goodput(columns: Columns, figures: RequestFigures, *, window: tuple[float, float], slo: Slo) -> Goodput:
    """Goodput over the window; attainment over the measured requests that ended in it."""
    met = columns.outcomes == str(Outcome.SUCCEEDED)
    for bound in slo.bounds:
        met = met & meets(bound, figures)
    ended = (columns.floats["ended_s"] >= window[0]) & (columns.floats["ended_s"] <= window[1])
    unfinished = columns.outcomes == str(Outcome.UNFINISHED)
    succeeded = int(figures.good.sum())
    failed = int((figures.measured & ~unfinished).sum()) - succeeded
    trials, successes = succeeded + failed, int((met & figures.measured).sum())
    low, high = wilson_interval(successes, trials=trials)
    return Goodput(
        goodput_req_s=int((met & ended).sum()) / max(window[1] - window[0], 1e-9),
        attainment=successes / trials if trials else None,
        of_succeeded=successes / succeeded if succeeded else 0.0,
        low=low,
        high=high,
        met=_stage_meets(figures, slo, succeeded=succeeded, failed=failed) if trials else None,
    )


def meets(bound: Bound, figures: RequestFigures) -> Mask:
    """Requests within a bound. A request's gaps are within when no more than (1 - p) of them are above the limit.

    A one-token answer has neither TPOT nor gaps and is within those bounds.
    """
    if bound.metric == "itl":
        size = len(figures.ttft)
        gaps = np.bincount(figures.gap_owner, minlength=size)
        above = np.bincount(figures.gap_owner[figures.gaps > bound.limit_s], minlength=size)
        return np.asarray(above <= gaps * (1 - bound.percentile / 100), dtype=np.bool_)
    values: Floats = getattr(figures, bound.metric)
    if bound.metric in ("tpot", "stall"):
        return np.asarray(~(values > bound.limit_s), dtype=np.bool_)
    return np.asarray(values <= bound.limit_s, dtype=np.bool_)


def _stage_meets(figures: RequestFigures, slo: Slo, *, succeeded: int, failed: int) -> bool:
    if slo.error_rate is not None and failed > slo.error_rate * (succeeded + failed):
        return False
    for bound in slo.bounds:
        if bound.metric == "itl":
            values, late = figures.good_gaps(), 0
        else:
            values, late = getattr(figures, bound.metric)[figures.good], failed
        reached = adjusted_percentiles(values, failed=late, wanted=(bound.percentile,))
        if reached.get(bound.percentile, 0.0) > bound.limit_s:
            return False
    return True
