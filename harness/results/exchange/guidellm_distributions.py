"""Distributions as guidellm 0.8.1 defines them: of values, of rates over time, of how many run at once. Pure.

All three are weighted: values by a given weight, rates and concurrencies by how long they lasted. Percentiles are
values that occurred, by nearest rank on the cumulated weights. An empty distribution is zeros with a count of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.load.columns import Floats

PERCENTILES: Mapping[str, float] = {
    "p001": 0.001, "p01": 0.01, "p05": 0.05, "p10": 0.10, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9,
    "p95": 0.95, "p99": 0.99, "p999": 0.999,
}  # fmt: skip
STATUSES = ("successful", "incomplete", "errored")
MERGED_S = 1e-4  # instants closer than this are one
EMPTY = np.empty(0)

Weighted = tuple[Floats, Floats]
Distribution = dict[str, Any]


def by_status(parts: Sequence[Weighted], make: Callable[[Floats, Floats], Distribution]) -> dict[str, Any]:
    """One distribution for each status, in the order of STATUSES, and one of all of them together."""
    total = tuple(np.concatenate([part[i] for part in parts]) for i in (0, 1))
    found = {status: make(*part) for status, part in zip(STATUSES, parts, strict=True)}
    return found | {"total": make(total[0], total[1])}


def distribution(values: Floats, weights: Floats, *, count: int | None = None) -> Distribution:
    """Of ``values``; ``count`` is the sum of the weights unless given. Values of no weight at all count alike."""
    if not len(values):
        return _summary(EMPTY, EMPTY, count=0)
    whole = round(float(weights.sum())) if count is None else count
    unique, place = np.unique(values, return_inverse=True)
    summed = np.bincount(place, weights, minlength=len(unique)).astype(np.float64)
    if (summed > 0).any():
        unique, summed = unique[summed > 0], summed[summed > 0]
    if float(summed.sum()) <= 1e-6:
        summed = np.ones(len(unique))
    return _summary(unique, summed / summed.sum(), count=whole)


def _summary(values: Floats, shares: Floats, *, count: int) -> Distribution:
    if not len(values):
        names = ("mean", "median", "mode", "variance", "std_dev", "min", "max", "total_sum")
        zeros = dict.fromkeys(names, 0.0)
        return {**zeros, "count": count, "percentiles": dict.fromkeys(PERCENTILES, 0.0), "pdf": None}
    mean = float((values * shares).sum())
    variance = float(((values - mean) ** 2 * shares).sum())
    cumulated = np.cumsum(shares)
    ranks = np.minimum(np.searchsorted(cumulated, list(PERCENTILES.values())), len(values) - 1)
    percentiles = dict(zip(PERCENTILES, values[ranks].tolist(), strict=True))
    return {
        "mean": mean,
        "median": percentiles["p50"],
        "mode": float(values[np.argmax(shares)]),
        "variance": variance,
        "std_dev": math.sqrt(variance),
        "min": float(values[0]),
        "max": float(values[-1]),
        "count": count,
        "total_sum": mean * count,
        "percentiles": percentiles,
        "pdf": None,
    }


def rates(times: Floats, weights: Floats, *, window: tuple[float, float] | None = None) -> Distribution:
    """Of events per second: each event's weight over half the time between its neighbours, for that long.

    With a window, only events in it count, and it begins and ends with an event of no weight.
    """
    if window is not None:
        inside = (times >= window[0]) & (times <= window[1])
        times = np.concatenate([window[:1], times[inside], window[1:]])
        weights = np.concatenate([[0.0], weights[inside], [0.0]])
    times, weights = merged(times, weights)
    if len(times) <= 1:
        return distribution(EMPTY, EMPTY)
    middles = (times[1:] + times[:-1]) / 2
    edges = np.concatenate([times[:1], middles, times[-1:]])
    lasted = np.diff(edges)
    lasted[-1] = max(float(lasted[-1]), 1e-6)
    return distribution(weights / lasted, lasted, count=round(float(weights.sum())))


def concurrency(
    start: Floats, end: Floats, weights: Floats, *, window: tuple[float, float] | None = None
) -> Distribution:
    """Of the summed weight of the intervals that are open, weighted by how long it was that much."""
    if window is not None:
        open_in_it = (end >= window[0]) & (start <= window[1])
        start, end, weights = start[open_in_it], end[open_in_it], weights[open_in_it]
    count = len(start)
    times, changes = merged(np.concatenate([start, end]), np.concatenate([weights, -weights]))
    if window is not None and len(times):
        before, upto = np.searchsorted(times, window[0]), np.searchsorted(times, window[1], side="right")
        times = np.concatenate([window[:1], times[before:upto], window[1:]])
        changes = np.concatenate([[changes[:before].sum()], changes[before:upto], [0.0]])
    levels = np.maximum(np.cumsum(changes), 0.0)
    if len(levels) <= 1:
        return distribution(levels if count else EMPTY, np.ones(len(levels) if count else 0))
    lasted = np.maximum(np.diff(times), 0.0)
    if not (lasted > 0).any():
        return _summary(EMPTY, EMPTY, count=0)
    return distribution(levels[:-1], lasted, count=count)


def merged(times: Floats, weights: Floats) -> Weighted:
    """Events in order, each with those that follow it within a tenth of a millisecond added to it."""
    unique, place = np.unique(times, return_inverse=True)
    summed = np.bincount(place, weights, minlength=len(unique)).astype(np.float64)
    if len(unique) < 2 or not (np.diff(unique) <= MERGED_S).any():
        return unique, summed
    ends = np.searchsorted(unique, unique + MERGED_S, side="right")
    heads = [0]
    while (following := int(ends[heads[-1]])) < len(unique):
        heads.append(following)
    return unique[heads], np.add.reduceat(summed, heads)
