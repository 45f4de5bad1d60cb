"""Two runs or sweeps compared: the relative change of each figure, with an interval and an honest verdict. Pure.

With repeats, the pairs (same seed, same arrivals) give the interval; with one run each, a block bootstrap within
the runs does, which knows nothing of what varies between runs, and the comparison says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.results.stats import (
    Floats,
    Interval,
    bootstrap_interval,
    mean_replicates,
    paired_interval,
    quantile_replicates,
    resampled_blocks,
    total_replicates,
)

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

    ``estimates`` maps a metric of METRICS to its figure; a missing one was not measured. ``latencies`` maps ttft,
    tpot, itl, e2e to values and the time block of each; ``totals`` maps a rate to its count in each block.
    ``blocks`` is their number, None when the window is too short for any.
    """

    repeat: int
    estimates: Mapping[str, float]
    blocks: int | None = None
    latencies: Mapping[str, tuple[Floats, npt.NDArray[np.int64]]] = field(default_factory=dict)
    totals: Mapping[str, Floats] = field(default_factory=dict)


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

    ``method`` is ``paired repeats``, ``within one run`` or ``none``.
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


def higher_is_better(metric: str) -> bool:
    """True for rates, False for latencies."""
    return metric in RATES


def compare(
    subjects: Sequence[Subject], *, rng: np.random.Generator, metrics: Sequence[str] = METRICS
) -> list[Change]:
    """The change of every metric that both sides measured, subject by subject."""
    for metric in metrics:
        if metric not in METRICS:
            raise UsageError(f"unknown metric '{metric}'; one of: {', '.join(METRICS)}")
    changes = []
    for subject in subjects:
        changes += [change for metric in metrics if (change := _change(subject, metric, rng=rng)) is not None]
    return changes


def _change(subject: Subject, metric: str, *, rng: np.random.Generator) -> Change | None:
    a, b = _mean(subject.a, metric), _mean(subject.b, metric)
    if a is None or b is None or a <= 0 or b <= 0:
        return None
    logs = _paired_logs(subject, metric)
    if len(logs) >= 2:
        relative, interval, method = math.expm1(float(np.mean(logs))), paired_interval(logs), "paired repeats"
    else:
        relative, method = b / a - 1, "within one run"
        interval = _within(subject, metric, math.log(b / a), rng=rng)
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


def _within(subject: Subject, metric: str, estimate: float, *, rng: np.random.Generator) -> Interval | None:
    """The interval of log(b/a) from one run a side, the two resampled independently."""
    if len(subject.a) != 1 or len(subject.b) != 1:
        return None
    a = _replicates(subject.a[0], metric, rng=rng)
    b = _replicates(subject.b[0], metric, rng=rng)
    if a is None or b is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(b / a)
    return bootstrap_interval(estimate, logs, blocks=min(subject.a[0].blocks or 0, subject.b[0].blocks or 0))


def _replicates(sample: Sample, metric: str, *, rng: np.random.Generator) -> Floats | None:
    if sample.blocks is None:
        return None
    weights = resampled_blocks(sample.blocks, rng=rng)
    if metric in RATES:
        totals = sample.totals.get(metric)
        if totals is None or metric not in sample.estimates or totals.sum() <= 0:
            return None
        per_count = sample.estimates[metric] / float(totals.sum())
        return total_replicates(totals * per_count, weights=weights)
    name, part = metric.rsplit("_", 1)
    if name not in sample.latencies:
        return None
    values, blocks = sample.latencies[name]
    if part == "mean":
        return mean_replicates(values, blocks, weights=weights)
    return quantile_replicates(values, blocks, weights=weights, quantile=QUANTILES[part])


_BAR = re.compile(r"\s*(?P<metric>[a-z0-9_]+)\s*(?P<sign>[<>])\s*(?P<limit>[+-]?\d+(?:\.\d*)?)\s*%\s*")


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit on a relative change: ``ttft_p99 > +5%`` is missed by a rise of more than 5 %."""

    metric: str
    above: bool
    limit: float

    @classmethod
    def parse(cls, text: str) -> Bar:
        """The bar in ``METRIC > +5%`` or ``METRIC < -5%``; UsageError says which part is wrong."""
        match = _BAR.fullmatch(text)
        if match is None:
            raise UsageError(f"not a bar: '{text}'; try 'ttft_p99 > +5%' or 'output_throughput < -3%'")
        if match["metric"] not in METRICS:
            raise UsageError(f"unknown metric '{match['metric']}' in '{text}'; one of: {', '.join(METRICS)}")
        return cls(match["metric"], match["sign"] == ">", float(match["limit"]) / 100)

    def __str__(self) -> str:
        return f"{self.metric} {'>' if self.above else '<'} {self.limit * 100:+g}%"


class BarOutcome(StrEnum):
    """``MISSED``: past the bar, and distinguished from no change. ``INCONCLUSIVE``: past it, but not distinguished."""

    HELD = "held"
    MISSED = "missed"
    INCONCLUSIVE = "inconclusive"


def judge(change: Change, bar: Bar) -> BarOutcome:
    """Whether a change of the bar's metric passes it."""
    past = change.relative > bar.limit if bar.above else change.relative < bar.limit
    if not past:
        return BarOutcome.HELD
    if change.verdict in (Verdict.BETTER, Verdict.WORSE):
        return BarOutcome.MISSED
    return BarOutcome.INCONCLUSIVE
