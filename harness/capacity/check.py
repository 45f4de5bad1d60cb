"""Does a fleet keep the SLO? Tried on a model of it, request by request. Pure: the model is passed in.

The plan divides a rate by what one replica carried, in most sweeps in a closed loop, which sends the next request when
one ends. What that leaves out, requests that come in clumps and a router that spreads them unevenly, is in the trial:
at the planned peak, with the spare replicas down. A fleet that misses the SLO there is enlarged until it keeps it. One
that measurements ask for is never made smaller; one that a forecast asks for is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harness.capacity.fleet import FORECAST, Demand, Option
from harness.load.columns import Floats
from harness.load.slo import Bound, Slo

KEEPS_UP = 0.95  # of what arrives; a fleet that finishes less is falling behind
MOST_REPLICAS = 1024


class Trace(Protocol):
    """What became of the requests of a trial: seconds, one a request, NaN where there is none."""

    @property
    def ttft_s(self) -> Floats: ...
    @property
    def tpot_s(self) -> Floats: ...
    @property
    def e2e_s(self) -> Floats: ...
    @property
    def request_throughput(self) -> float: ...


Fleet = Callable[[int, float], Trace]  # replicas and requests/s, to what became of the requests


@dataclass(frozen=True, slots=True)
class Trial:
    """So many replicas at so many requests/s. ``reached`` has each bound that could be tried, and what was reached.

    ``miss`` is the first bound missed and by how much; None when all were kept.
    """

    replicas: int
    rate_req_s: float
    reached: tuple[tuple[Bound, float], ...]
    miss: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """The trials behind an option: at its size without its spares, and with one replica fewer.

    ``planned`` is the size before it was tried, spares aside. ``fewer`` is None for a single replica;
    ``fewer_at_demand`` is what it makes of the demand itself, without the headroom. ``untried`` are the bounds that
    the model says nothing of.
    """

    planned: int
    kept: Trial
    fewer: Trial | None
    fewer_at_demand: Trial | None = None
    untried: tuple[Bound, ...] = ()

    @property
    def is_met(self) -> bool:
        """False when no number of replicas that was tried keeps the SLO."""
        return self.kept.miss is None

    @property
    def is_least(self) -> bool:
        """True when one replica fewer misses the SLO, or there is none fewer."""
        return self.is_met and (self.fewer is None or self.fewer.miss is not None)


def settle(option: Option, demand: Demand, slo: Slo, fleet: Fleet) -> tuple[Option, Check]:
    """The option with as many replicas as the trials ask for, and the trials."""
    mean, planned = option.mean_rate_req_s, option.replicas - demand.spare
    peak = demand.peak(mean)
    trials: dict[tuple[int, float], Trial] = {}

    def tried(replicas: int, rate_req_s: float = peak) -> Trial:
        if (replicas, rate_req_s) not in trials:
            trials[replicas, rate_req_s] = trial(fleet, slo, replicas=replicas, rate_req_s=rate_req_s)
        return trials[replicas, rate_req_s]

    count = planned
    if tried(count).miss is not None:
        count = _enlarged(count, tried)
    elif option.point.source == FORECAST:
        while count > 1 and tried(count - 1).miss is None:
            count -= 1
    check = Check(
        planned=planned,
        kept=tried(count),
        fewer=tried(count - 1) if count > 1 else None,
        fewer_at_demand=tried(count - 1, mean * demand.burst) if count > 1 else None,
        untried=tuple(bound for bound in slo.bounds if bound.metric not in ("ttft", "tpot", "e2e")),
    )
    return option.resized(count + demand.spare), check


def _enlarged(count: int, tried: Callable[[int], Trial]) -> int:
    """The fewest replicas above ``count`` that keep the SLO, by growing steps and then by halves; the most that are
    tried when none do. Most plans are short by a few."""
    low, high, step = count, count + 1, 1
    while high < MOST_REPLICAS and tried(high).miss is not None:
        step *= 2
        low, high = high, high + step
    high = min(high, MOST_REPLICAS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if tried(middle).miss is not None else (low, middle)
    return high


def trial(fleet: Fleet, slo: Slo, *, replicas: int, rate_req_s: float) -> Trial:
    """One run of the model against the SLO."""
    trace = fleet(replicas, rate_req_s)
    reached = []
    for bound in slo.bounds:
        values: Floats | None = getattr(trace, f"{bound.metric}_s", None)
        if values is not None:
            reached.append((bound, float(np.nanpercentile(values, bound.percentile))))
    return Trial(replicas, rate_req_s, tuple(reached), _miss(reached, trace.request_throughput, rate_req_s))


def _miss(reached: list[tuple[Bound, float]], finished: float, rate_req_s: float) -> str | None:
    for bound, value in reached:
        if value > bound.limit_s:
            return bound.missed(value)
    if finished < KEEPS_UP * rate_req_s:
        return f"finishes {finished:.2f} of {rate_req_s:.2f} requests/s"
    return None
