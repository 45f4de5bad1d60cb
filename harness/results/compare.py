"""Two runs or sweeps compared: the relative change of each figure, with an interval and an honest verdict. Pure.

With repeats, the pairs (same seed, same arrivals) give the interval; with one run each, how each wandered over its
window does, which knows nothing of what varies between runs, and the comparison says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from harness.errors import UsageError
from harness.results.stats import (
    LEVEL,
    Figure,
    Floats,
    Interval,
    Window,
    difference_interval,
    family_level,
    mean_figure,
    paired_interval,
    quantile_figure,
    total_figure,
)
from harness.units import counted

QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
LATENCIES = ("ttft", "tpot", "itl", "e2e")
RATES = ("output_throughput", "request_throughput", "goodput")
METRICS = tuple(f"{name}_{part}" for name in LATENCIES for part in ("mean", *QUANTILES)) + RATES


class Verdict(StrEnum):
    """What a change amounts to; ``BETTER`` and ``WORSE`` only where the interval excludes no change."""

    BETTER = "better"
    WORSE = "worse"
    NOT_DISTINGUISHED = "not distinguished"
    NO_INTERVAL = "no interval"


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured point of one run, as a comparison needs it.

    ``estimates`` maps a metric of METRICS to its figure; a missing one was not measured. ``events`` maps ttft, tpot,
    itl, e2e to values, and a rate to what it counts (tokens, requests), each with times from the window's start.
    ``window`` is None where only pairs are to be compared.
    """

    repeat: int
    estimates: Mapping[str, float]
    window: Window | None = None
    events: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """The repeats of one cell at one load level, on both sides."""

    name: str
    load: str
    a: tuple[Sample, ...]
    b: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """How one figure of one subject changed from A to B. ``relative`` is b/a - 1, likewise the interval's ends.

    ``method`` is ``paired repeats``, ``within one run`` or ``none``; the interval holds at ``level``.
    """

    subject: str
    load: str
    metric: str
    a: float
    b: float
    relative: float
    interval: Interval | None
    method: str
    verdict: Verdict
    level: float = LEVEL


def higher_is_better(metric: str) -> bool:
    """True for rates, False for latencies."""
    return metric in RATES


def compare(
    subjects: Sequence[Subject], *, metrics: Sequence[str] = METRICS, together: bool = False
) -> list[Change]:
    """The change of every metric that both sides measured, subject by subject.

    Each interval holds at 95 %; with ``together`` all of them at once do (Bonferroni), so that one change in twenty
    sweeps, not in twenty intervals, is found where there is none.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise UsageError(f"unknown metric '{metric}'; one of: {', '.join(METRICS)}")

    def changes(level: float) -> list[Change]:
        pairs = ((subject, metric) for subject in subjects for metric in metrics)
        return [change for pair in pairs if (change := _change(*pair, level)) is not None]

    found = changes(LEVEL)
    count = sum(change.interval is not None for change in found)
    return changes(family_level(count)) if together else found


def multiplicity(changes: Sequence[Change]) -> str:
    """What the number of comparisons means for the reader."""
    levels = [change.level for change in changes if change.interval is not None]
    if not levels:
        return "no interval: with one run a side the window is too short; run repeats, or longer windows"
    if min(levels) > LEVEL:
        return (
            f"{counted(len(levels), 'interval')} that hold together at {LEVEL:.0%}, each at {levels[0] * 100:.4g} % "
            "(Bonferroni)"
        )
    return f"{counted(len(levels), 'interval')} at 95 %: about {len(levels) / 20:.1f} would exclude 0 by chance alone"


def _change(subject: Subject, metric: str, level: float) -> Change | None:
    a, b = _mean(subject.a, metric), _mean(subject.b, metric)
    if a is None or b is None or a <= 0 or b <= 0:
        return None
    logs = _paired_logs(subject, metric)
    if len(logs) >= 2:
        relative, interval, method = (
            math.expm1(float(np.mean(logs))),
            paired_interval(logs, level=level),
            "paired repeats",
        )
    else:
        relative, method = b / a - 1, "within one run"
        interval = _within(subject, metric, level)
    if interval is None:
        return Change(subject.name, subject.load, metric, a, b, relative, None, "none", Verdict.NO_INTERVAL)
    return Change(
        subject=subject.name,
        load=subject.load,
        metric=metric,
        a=a,
        b=b,
        relative=relative,
        interval=Interval(math.expm1(interval.low), math.expm1(interval.high)),
        method=method,
        verdict=_verdict(interval, relative, metric),
        level=level,
    )


def _verdict(interval: Interval, relative: float, metric: str) -> Verdict:
    if not interval.excludes(0.0):
        return Verdict.NOT_DISTINGUISHED
    return Verdict.BETTER if (relative > 0) == higher_is_better(metric) else Verdict.WORSE


def _mean(samples: Sequence[Sample], metric: str) -> float | None:
    values = [sample.estimates[metric] for sample in samples if metric in sample.estimates]
    return float(np.mean(values)) if values else None


def _paired_logs(subject: Subject, metric: str) -> list[float]:
    """log(b/a) of every repeat that both sides have."""
    left = {sample.repeat: sample.estimates.get(metric) for sample in subject.a}
    pairs = [(left.get(sample.repeat), sample.estimates.get(metric)) for sample in subject.b]
    return [math.log(b / a) for a, b in pairs if a and b and a > 0 and b > 0]


def _within(subject: Subject, metric: str, level: float) -> Interval | None:
    """The interval of log(b/a) from one run a side."""
    if len(subject.a) != 1 or len(subject.b) != 1:
        return None
    a, b = _figure(subject.a[0], metric), _figure(subject.b[0], metric)
    return None if a is None or b is None else difference_interval(a, b, level=level)


def _figure(sample: Sample, metric: str) -> Figure | None:
    """The metric with what its run says of how sure it is; None where the run does not say."""
    events = sample.events.get(metric if metric in RATES else metric.rsplit("_", 1)[0])
    if sample.window is None or events is None:
        return None
    values, times = events
    if metric in RATES:
        return total_figure(times, values, window=sample.window)
    part = metric.rsplit("_", 1)[1]
    if part == "mean":
        return mean_figure(values, times, window=sample.window)
    return quantile_figure(values, times, window=sample.window, quantile=QUANTILES[part])
