"""Intervals: within a run from how it wandered over time, between runs by pairs. Pure and without randomness.

The unit of replication is the run. Requests of one run depend on each other (they share queues and batches), so
within a run its variance is taken from the slowest movements of the series: its first few cosine components, each of
which is worth one degree of freedom of Student's t (Müller 2007, "A theory of robust long-run variance estimation";
Lazarus, Lewis, Stock and Watson 2018, "HAR inference: recommendations for practice"). At equal degrees of freedom that
is less biased than blocks of time are, whose neighbours depend on each other.

A quantile's interval is Woodruff's (1952): the interval of the share of requests below it, read off the sample; where
that share comes near the sample's end, the logarithm of the figure goes on in a straight line. Two runs are compared
by combining their intervals (Zou and Donner 2008, "MOVER") at Satterthwaite's degrees of freedom.

How often all this covers the truth: ``tests/results/test_coverage.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEVEL = 0.95
FEWEST_LATENCIES = 10  # a shorter window, in mean end-to-end latencies, does not say how much it varies
LATENCIES_PER_COMPONENT = 8
FEWEST_COMPONENTS, MOST_COMPONENTS = 2, 8
REQUESTS_BEYOND = 10  # a percentile needs that many requests beyond it
LATENCIES_BEYOND = 2  # and as many latencies' worth of time, since requests of one time are alike
READ_OFF = 0.8  # share of the way to the sample's end over which its quantiles are taken as they are


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval; ``low`` and ``high`` in the unit of the estimate."""

    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """True when ``value`` lies outside."""
        return value < self.low or value > self.high


@dataclass(frozen=True, slots=True)
class Window:
    """A run's measurement window, and how long a request takes in it."""

    length_s: float
    mean_e2e_s: float

    @property
    def latencies(self) -> float:
        """Its length in mean end-to-end latencies."""
        return self.length_s / self.mean_e2e_s if self.mean_e2e_s > 0 else 0.0

    @property
    def components(self) -> int | None:
        """How many cosine components stand for its variance; None when it is too short to say."""
        if not self.latencies >= FEWEST_LATENCIES:
            return None
        wished = int(self.latencies / LATENCIES_PER_COMPONENT)
        return min(MOST_COMPONENTS, max(FEWEST_COMPONENTS, wished))

    def reaches(self, quantile: float, *, count: int) -> bool:
        """True when it is long enough, and ``count`` values enough, for an interval of this quantile."""
        beyond = 1 - quantile + 1e-9
        return count * beyond >= REQUESTS_BEYOND and self.latencies * beyond >= LATENCIES_BEYOND


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one run, on the logarithmic scale. ``ends`` gives its interval for a multiplier like Student's t.

    ``degrees`` are those of freedom of the variance behind it.
    """

    log: float
    degrees: int
    ends: Callable[[float], Interval]

    def interval(self, *, level: float = LEVEL) -> Interval:
        """The interval of the logarithm."""
        return self.ends(two_sided_t(level, self.degrees))


def sum_variance(times_s: Floats, influence: Floats, *, window_s: float, components: int) -> float:
    """The variance of the sum of ``influence``, from its cosine components over the window.

    ``influence`` sums to about 0: what each event, at its time from the window's start, adds to the figure.
    """
    angles = np.pi * times_s / window_s
    sums = [float(influence @ np.cos(angles * number)) for number in range(1, components + 1)]
    return 2.0 / components * sum(value * value for value in sums)


def mean_figure(values: Floats, times_s: Floats, *, window: Window) -> Figure | None:
    """The mean of ``values``; None when the window is too short or the mean is not above 0."""
    components = window.components
    if components is None or not len(values) or not (mean := float(values.mean())) > 0:
        return None
    variance = sum_variance(times_s, values - mean, window_s=window.length_s, components=components)
    return _symmetric(mean, math.sqrt(variance) / len(values), degrees=components)


def total_figure(times_s: Floats, weights: Floats, *, window: Window) -> Figure | None:
    """The summed weight of events (tokens, requests) per second of the window; None as for a mean."""
    components = window.components
    if components is None or not (total := float(weights.sum())) > 0:
        return None
    variance = sum_variance(times_s, weights, window_s=window.length_s, components=components)
    return _symmetric(total / window.length_s, math.sqrt(variance) / window.length_s, degrees=components)


def _symmetric(value: float, deviation: float, *, degrees: int) -> Figure:
    """A figure as sure above as below, its relative deviation being that of its logarithm."""
    log, spread = math.log(value), deviation / value
    return Figure(log, degrees, lambda t: Interval(log - t * spread, log + t * spread))


def quantile_figure(values: Floats, times_s: Floats, *, window: Window, quantile: float) -> Figure | None:
    """The quantile of ``values``; None when the window does not reach it, or it is not above 0."""
    components = window.components
    if components is None or not window.reaches(quantile, count=len(values)):
        return None
    ordered = np.sort(values)
    found = _at(ordered, quantile)
    if not found > 0:
        return None
    below = (values <= found).astype(np.float64) - quantile
    deviation = math.sqrt(
        sum_variance(times_s, below, window_s=window.length_s, components=components)
    ) / len(values)

    def ends(t: float) -> Interval:
        return Interval(
            _end(ordered, quantile, distance=-t * deviation), _end(ordered, quantile, distance=t * deviation)
        )

    return Figure(math.log(found), components, ends)


def _at(ordered: Floats, share: float) -> float:
    """The quantile of sorted values, by linear interpolation."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (ordered[above] - ordered[below]) * (place - below))


def _end(ordered: Floats, quantile: float, *, distance: float) -> float:
    """The logarithm of the quantile at ``distance`` from the given one."""
    room = (1 - quantile) if distance > 0 else quantile
    near = math.copysign(min(abs(distance), READ_OFF * room), distance)
    log, at_near = (math.log(max(_at(ordered, share), 1e-300)) for share in (quantile, quantile + near))
    return log if near == 0 else log + (at_near - log) * distance / near


def difference_interval(a: Figure, b: Figure, *, level: float = LEVEL) -> Interval:
    """The interval of ``b.log - a.log``, the two runs being independent of each other."""
    variances = []
    for figure in (a, b):
        t = two_sided_t(level, figure.degrees)
        ends = figure.ends(t)
        variances.append(((ends.high - ends.low) / (2 * t)) ** 2)
    parts = [variance**2 / figure.degrees for variance, figure in zip(variances, (a, b), strict=True)]
    degrees = sum(variances) ** 2 / sum(parts) if sum(parts) > 0 else a.degrees + b.degrees
    t = two_sided_t(level, max(1, int(degrees + 1e-9)))
    left, right = a.ends(t), b.ends(t)
    difference = b.log - a.log
    return Interval(
        difference - math.hypot(b.log - right.low, left.high - a.log),
        difference + math.hypot(right.high - b.log, a.log - left.low),
    )


def paired_interval(differences: Sequence[float], *, level: float = LEVEL) -> Interval | None:
    """The Student interval of the mean of paired differences; None below two pairs."""
    count = len(differences)
    if count < 2:
        return None
    values = np.asarray(differences)
    half = two_sided_t(level, count - 1) * float(values.std(ddof=1)) / math.sqrt(count)
    mean = float(values.mean())
    return Interval(mean - half, mean + half)


def family_level(count: int, *, level: float = LEVEL) -> float:
    """The level at which each of ``count`` intervals has to hold for all of them to hold at ``level`` (Bonferroni)."""
    return 1 - (1 - level) / max(1, count)


def two_sided_t(level: float, degrees: int) -> float:
    """The t within which a Student variate lies with probability ``level``."""
    return student_t_quantile((1 + level) / 2, degrees)


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


@cache
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
