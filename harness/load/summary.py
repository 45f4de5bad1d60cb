"""Summaries of one figure over many requests: mean, percentiles, how many, and whether that is enough. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
# A percentile needs this many requests beyond it before it is more than a guess.
SAMPLES_BEYOND = 10
Z_95 = 1.959963984540054


def samples_for(percentile: float) -> int:
    """How many values a percentile wants, ``10 / (1 - p)``: 20 for the median, 1000 for p99."""
    return math.ceil(SAMPLES_BEYOND * 100 / (100 - percentile))


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Seconds; percentiles by linear interpolation. ``count`` values went in; all figures are None when it is 0."""

    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    max: float | None
    count: int

    def enough_for(self, percentile: float) -> bool:
        """True when there are at least as many values as ``samples_for`` it."""
        return self.count >= samples_for(percentile)


def summary(values: Floats) -> LatencySummary:
    """The summary of ``values``; NaN values are absent ones and do not count."""
    return summary_by(values, "linear")


def summary_by(values: Floats, method: Literal["linear", "inverted_cdf"]) -> LatencySummary:
    """``summary`` by another of numpy's methods. There may be 10 million values: they are copied once."""
    known = values[~np.isnan(values)]
    if not len(known):
        return LatencySummary(None, None, None, None, None, None, 0)
    mean, largest = float(known.mean()), float(known.max())
    p50, p90, p95, p99 = np.percentile(known, PERCENTILES, method=method, overwrite_input=True).tolist()
    return LatencySummary(mean, p50, p90, p95, p99, largest, len(known))


def adjusted_percentiles(
    values: Floats, *, failed: int, wanted: tuple[float, ...] = PERCENTILES
) -> Mapping[float, float]:
    """Percentiles with every failure as an infinitely late request; empty without any request."""
    ordered = np.concatenate([np.sort(values[~np.isnan(values)]), np.full(failed, math.inf)])
    if not len(ordered):
        return {}
    return {percentile: _interpolated(ordered, percentile / 100) for percentile in wanted}


def _interpolated(ordered: Floats, share: float) -> float:
    """numpy's linear rule, with infinity where it would be interpolated towards."""
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    rest = position - below
    return low if rest < 1e-12 else low + (high - low) * rest if math.isfinite(high) else math.inf


def wilson_interval(successes: int, *, trials: int) -> tuple[float, float]:
    """95 % score interval of a share (Wilson 1927); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, Z_95 * Z_95
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return max(centre - half, 0.0), min(centre + half, 1.0)
