"""Intervals: within a run by block bootstrap, between runs by pairs. Pure; randomness comes in as a generator.

The unit of replication is the run. Requests of one run depend on each other (they share queues and batches), so
within a run whole blocks of time are resampled, never single requests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEVEL = 0.95
RESAMPLES = 400
FEWEST_BLOCKS = 5
MOST_BLOCKS = 8
E2E_PER_BLOCK = (
    5  # wished for: neighbouring blocks still depend on each other when blocks are one latency long
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval; ``low`` and ``high`` in the unit of the estimate."""

    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """True when ``value`` lies outside."""
        return value < self.low or value > self.high


def blocks_of(starts_s: Floats, *, window_s: float, mean_e2e_s: float) -> tuple[Ints, int] | None:
    """The time block of each request by its start in the window, and how many blocks there are.

    A block lasts five mean end-to-end latencies where the window allows, and never under one, since requests in
    flight together depend on each other. None when the window does not hold five blocks of one: too short to say
    how much it varies. Few long blocks cover better than many short ones (measured: tests/results/test_stats.py).
    """
    if not (window_s > 0 and mean_e2e_s > 0):
        return None
    if window_s / mean_e2e_s < FEWEST_BLOCKS:
        return None
    count = min(MOST_BLOCKS, max(FEWEST_BLOCKS, int(window_s / (E2E_PER_BLOCK * mean_e2e_s))))
    return np.clip((starts_s / window_s * count).astype(np.int64), 0, count - 1), count


def resampled_blocks(count: int, *, rng: np.random.Generator, resamples: int = RESAMPLES) -> Ints:
    """How often each of ``count`` blocks is drawn in each resample: an array (resamples, count), rows sum to count."""
    return rng.multinomial(count, np.full(count, 1.0 / count), size=resamples).astype(np.int64)


def quantile_replicates(values: Floats, blocks: Ints, *, weights: Ints, quantile: float) -> Floats:
    """The quantile of ``values`` under each row of block weights; NaN where a resample drew no value.

    The value itself, not an interpolation, is taken; with hundreds of values the difference is below the noise.
    """
    order = np.argsort(values, kind="stable")
    ordered, labels = values[order], blocks[order]
    found = np.full(len(weights), np.nan)
    for row, drawn in enumerate(weights):
        cumulative = np.cumsum(drawn[labels])
        if len(cumulative) and cumulative[-1] > 0:
            found[row] = ordered[int(np.searchsorted(cumulative, quantile * cumulative[-1], side="left"))]
    return found


def mean_replicates(values: Floats, blocks: Ints, *, weights: Ints) -> Floats:
    """The mean of ``values`` under each row of block weights; NaN where a resample drew no value."""
    count = weights.shape[1]
    sums = np.bincount(blocks, values, minlength=count)
    sizes = np.bincount(blocks, minlength=count)
    with np.errstate(invalid="ignore"):
        found: Floats = (weights @ sums) / (weights @ sizes)
    return found


def total_replicates(totals: Floats, *, weights: Ints) -> Floats:
    """The sum over blocks (tokens, finished requests) under each row of block weights."""
    found: Floats = weights @ totals
    return found


def bootstrap_interval(estimate: float, replicates: Floats, *, blocks: int) -> Interval | None:
    """The 95 % interval: the estimate and Student's t (blocks - 1) times the replicates' standard deviation.

    Give logarithms for figures that are ratios by nature. None when fewer than half of the resamples gave a figure.
    """
    known = replicates[np.isfinite(replicates)]
    if len(known) * 2 < len(replicates) or blocks < 2:
        return None
    spread = float(known.std(ddof=1)) * math.sqrt(blocks / (blocks - 1))
    half = student_t_quantile((1 + LEVEL) / 2, blocks - 1) * spread
    return Interval(estimate - half, estimate + half)


def paired_interval(differences: Sequence[float]) -> Interval | None:
    """The 95 % Student interval of the mean of paired differences; None below two pairs."""
    count = len(differences)
    if count < 2:
        return None
    values = np.asarray(differences)
    half = student_t_quantile((1 + LEVEL) / 2, count - 1) * float(values.std(ddof=1)) / math.sqrt(count)
    mean = float(values.mean())
    return Interval(mean - half, mean + half)


def student_t_cdf(t: float, degrees: int) -> float:
    """P(T <= t) for whole degrees of freedom, by the finite series of Abramowitz and Stegun 26.7.3 and 26.7.4."""
    theta = math.atan(t / math.sqrt(degrees))
    cosine = math.cos(theta)
    if degrees % 2:
        term, total = cosine, 0.0
        for k in range(1, (degrees - 1) // 2 + 1):
            total += term
            term *= cosine**2 * (2 * k) / (2 * k + 1)
        inside = 2 / math.pi * (theta + math.sin(theta) * total)
    else:
        term, total = 1.0, 0.0
        for k in range(1, degrees // 2 + 1):
            total += term
            term *= cosine**2 * (2 * k - 1) / (2 * k)
        inside = math.sin(theta) * total
    return (1 + inside) / 2


def student_t_quantile(probability: float, degrees: int) -> float:
    """The t with P(T <= t) = ``probability`` (above one half), to nine digits, by bisection."""
    low, high = 0.0, 1.0
    while student_t_cdf(high, degrees) < probability:
        high *= 2
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        if student_t_cdf(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2
