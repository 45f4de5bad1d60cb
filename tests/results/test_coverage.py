"""Do 95 % intervals hold the truth in 92 to 98 of 100 simulated runs? Runs whose truth is known exactly.

A request's latency is log-normal, and its logarithm follows an autoregression in time: what one request waits, the
next waits too, with a correlation that falls by e over ``memory`` mean latencies. Tokens arrive at a rate that
wanders in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from harness.results.stats import (
    Figure,
    Floats,
    Window,
    difference_interval,
    mean_figure,
    paired_interval,
    quantile_figure,
    total_figure,
)

SIGMA = 0.3
NORMAL = {"p50": 0.0, "p90": 1.2815516, "p95": 1.6448536, "p99": 2.3263479}
LOWEST, HIGHEST = 0.92, 0.98
Estimator = Callable[[Floats, Floats, Window], Figure | None]


def wandering(
    rng: np.random.Generator, *, runs: int, latencies: int, per_latency: int, memory: float
) -> Floats:
    """Standard normal series, a row a run, ``per_latency`` values for each mean latency of the window."""
    phi = math.exp(-1 / (per_latency * memory))
    values = np.empty((latencies * per_latency, runs))
    values[0] = rng.normal(size=runs)
    for step in range(1, len(values)):
        values[step] = phi * values[step - 1] + math.sqrt(1 - phi * phi) * rng.normal(size=runs)
    return values.T


def estimators() -> Iterator[tuple[str, Estimator, float]]:
    """Name, estimator and the logarithm of the truth, of everything a comparison asks of one series of latencies."""

    def quantile(share: float) -> Estimator:
        return lambda values, times, window: quantile_figure(values, times, window=window, quantile=share)

    yield "mean", lambda values, times, window: mean_figure(values, times, window=window), SIGMA * SIGMA / 2
    for name, z in NORMAL.items():
        yield name, quantile(int(name[1:]) / 100), SIGMA * z


def rate_of(level: Floats, *, rng: np.random.Generator, latencies: int, window: Window) -> Figure | None:
    """Tokens that arrive in small steps of time, Poisson around a mean of 20 a step times exp(SIGMA x level)."""
    counts = rng.poisson(20 * np.exp(SIGMA * level)).astype(np.float64)
    times = (np.arange(len(level)) + 0.5) / len(level) * latencies
    return total_figure(times, counts, window=window)


def coverage(*, runs: int, latencies: int, per_latency: int, memory: float) -> dict[str, float]:
    """The share of runs whose interval holds the truth, by figure; figures the window does not reach are left out.

    ``difference of ...`` compares each run with the next, which has the same truth.
    """
    rng = np.random.default_rng(20261125)
    series = wandering(rng, runs=runs, latencies=latencies, per_latency=per_latency, memory=memory)
    times = (np.arange(series.shape[1]) + 0.5) / per_latency
    window = Window(float(latencies), 1.0)
    truths = {name: truth for name, _, truth in estimators()}
    truths["throughput"] = math.log(20 * per_latency) + SIGMA * SIGMA / 2
    figures: dict[str, list[Figure]] = {name: [] for name in truths}
    for level in series:
        found = {name: ask(np.exp(SIGMA * level), times, window) for name, ask, _ in estimators()}
        found["throughput"] = rate_of(level, rng=rng, latencies=latencies, window=window)
        for name, figure in found.items():
            figures[name] += [figure] if figure is not None else []
    held = {}
    for name, known in figures.items():
        if not known:
            continue
        assert len(known) == runs, f"{name} had an interval in some runs only: what is left is no fair sample"
        held[name] = np.mean([not figure.interval().excludes(truths[name]) for figure in known])
        pairs = zip(known[::2], known[1::2], strict=True)
        held[f"difference of {name}"] = np.mean(
            [not difference_interval(*pair).excludes(0.0) for pair in pairs]
        )
    return {name: float(share) for name, share in held.items()}


@pytest.mark.parametrize(
    ("latencies", "per_latency", "memory", "reached"),
    [
        (10, 16, 0.5, {"mean", "p50", "throughput"}),
        (20, 16, 0.5, {"mean", "p50", "p90", "throughput"}),
        (40, 8, 0.5, {"mean", "p50", "p90", "p95", "throughput"}),
        (40, 16, 1.0, {"mean", "p50", "p90", "p95", "throughput"}),
        (200, 8, 1.0, {"mean", "p50", "p90", "p95", "p99", "throughput"}),
    ],
)
def test_intervals_within_one_run_cover(
    latencies: int, per_latency: int, memory: float, reached: set[str]
) -> None:
    held = coverage(runs=1000, latencies=latencies, per_latency=per_latency, memory=memory)
    assert {name for name in held if not name.startswith("difference")} == reached
    assert {name: share for name, share in held.items() if not LOWEST <= share <= HIGHEST} == {}


@pytest.mark.parametrize("repeats", [2, 3, 5])
def test_paired_intervals_cover_whatever_varies_between_runs(repeats: int) -> None:
    """B is 10 % slower than A. Each run is off by 5 % of its own; a pair shares its arrivals, so half its series."""
    rng = np.random.default_rng(20261126)
    sweeps, shape = 800, {"latencies": 20, "per_latency": 8, "memory": 1.0}
    runs = sweeps * repeats
    shared, own_a, own_b = (wandering(rng, runs=runs, **shape) for _ in range(3))
    off = rng.normal(0.0, 0.05, (2, runs, 1))
    a = np.exp(SIGMA * (shared + own_a) / math.sqrt(2) + off[0])
    b = 1.1 * np.exp(SIGMA * (shared + own_b) / math.sqrt(2) + off[1])
    of_run = {
        "mean": lambda values: values.mean(axis=1),
        "p50": lambda values: np.quantile(values, 0.5, axis=1),
        "p95": lambda values: np.quantile(values, 0.95, axis=1),
        "throughput": lambda values: 1 / values.mean(axis=1),  # of a closed loop, by Little's law
    }
    for name, figure in of_run.items():
        truth = math.log(1.1) * (-1 if name == "throughput" else 1)
        logs = np.log(figure(b) / figure(a)).reshape(sweeps, repeats)
        intervals = [paired_interval(differences) for differences in logs.tolist()]
        held = np.mean([interval is not None and not interval.excludes(truth) for interval in intervals])
        assert LOWEST <= held <= HIGHEST, name
