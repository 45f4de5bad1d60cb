from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import UsageError
from harness.results.compare import (
    Change,
    Sample,
    Subject,
    Verdict,
    compare,
    multiplicity,
)
from harness.results.stats import Window


def subject(a: list[float], b: list[float], *, metric: str = "ttft_p50") -> Subject:
    return Subject(
        name="cell",
        load="c8",
        a=tuple(Sample(repeat, {metric: value}) for repeat, value in enumerate(a)),
        b=tuple(Sample(repeat, {metric: value}) for repeat, value in enumerate(b)),
    )


def only_change(case: Subject, metric: str = "ttft_p50") -> Change:
    changes = compare([case], metrics=[metric])
    assert len(changes) == 1
    return changes[0]


def test_pairs_that_all_rise_alike_are_worse_although_the_runs_differ_widely() -> None:
    # 1, 2 and 4 s each rise by 9, 10 and 11 %: unpaired these overlap wholly
    change = only_change(subject([1.0, 2.0, 4.0], [1.09, 2.20, 4.44]))
    logs = [math.log(1.09), math.log(1.10), math.log(1.11)]
    assert change.method == "paired repeats"
    assert change.relative == pytest.approx(math.exp(sum(logs) / 3) - 1)
    assert change.interval is not None
    # t(2) = 4.303, standard deviation of the logs 0.0091, so ± 2.26 % around 9.99 %
    assert change.interval.low == pytest.approx(0.0755, abs=1e-3)
    assert change.interval.high == pytest.approx(0.1249, abs=1e-3)
    assert change.verdict is Verdict.WORSE


def test_pairs_that_go_both_ways_are_not_distinguished() -> None:
    assert only_change(subject([1.0, 1.0, 1.0], [1.2, 0.8, 1.1])).verdict is Verdict.NOT_DISTINGUISHED


def test_a_rate_that_rises_is_better_and_a_latency_that_falls_is_too() -> None:
    metric = "output_throughput"
    assert only_change(subject([10, 20], [15, 30.1], metric=metric), metric).verdict is Verdict.BETTER
    assert only_change(subject([1.0, 2.0], [0.5, 1.001])).verdict is Verdict.BETTER


def test_one_run_without_a_window_has_a_change_but_no_interval() -> None:
    change = only_change(subject([2.0], [3.0]))
    assert (change.relative, change.interval, change.method) == (0.5, None, "none")
    assert change.verdict is Verdict.NO_INTERVAL


def window_sample(scale: float, *, seed: int) -> Sample:
    """800 independent requests over 80 latencies, and tokens evenly over the time."""
    rng = np.random.default_rng(seed)
    values = scale * np.exp(rng.normal(0, 0.2, 800))
    counts = rng.poisson(10 * scale, 800).astype(float)
    times = (np.arange(800) + 0.5) / 10
    return Sample(
        repeat=0,
        estimates={"ttft_p50": float(np.median(values)), "output_throughput": float(counts.sum()) / 80},
        window=Window(80.0, 1.0),
        events={"ttft": (values, times), "output_throughput": (counts, times)},
    )


def test_within_one_run_a_large_change_is_seen_and_no_change_is_not() -> None:
    a, same, larger = window_sample(1.0, seed=1), window_sample(1.0, seed=2), window_sample(1.3, seed=3)
    for metric, grown in (("ttft_p50", Verdict.WORSE), ("output_throughput", Verdict.BETTER)):
        still = only_change(Subject("cell", "c8", (a,), (same,)), metric)
        assert (still.verdict, still.method) == (Verdict.NOT_DISTINGUISHED, "within one run")
        change = only_change(Subject("cell", "c8", (a,), (larger,)), metric)
        assert change.verdict is grown
        assert change.interval is not None
        assert change.interval.low < 0.3 < change.interval.high


def test_the_interval_of_no_change_covers_zero_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(200):
        case = Subject(
            "cell", "c8", (window_sample(1.0, seed=2 * seed),), (window_sample(1.0, seed=2 * seed + 1),)
        )
        change = only_change(case)
        assert change.interval is not None
        covered += not change.interval.excludes(0.0)
    assert 0.92 <= covered / 200 <= 0.99


def test_together_the_intervals_are_as_wide_as_their_number_asks_for() -> None:
    a, b = window_sample(1.0, seed=1), window_sample(1.02, seed=2)
    case = Subject("cell", "c8", (a,), (b,))
    metrics = ["ttft_p50", "output_throughput"]
    alone, together = compare([case], metrics=metrics), compare([case], metrics=metrics, together=True)
    assert [change.level for change in alone] == [0.95, 0.95]
    assert [change.level for change in together] == [0.975, 0.975]
    for narrow, wide in zip(alone, together, strict=True):
        assert narrow.interval is not None
        assert wide.interval is not None
        assert wide.interval.low < narrow.interval.low < narrow.interval.high < wide.interval.high
    assert multiplicity(alone) == "2 intervals at 95 %: about 0.1 would exclude 0 by chance alone"
    assert multiplicity(together) == "2 intervals that hold together at 95%, each at 97.5 % (Bonferroni)"


def test_a_metric_that_one_side_lacks_is_left_out_and_an_unknown_one_refused() -> None:
    case = Subject("cell", "c8", (Sample(0, {"ttft_p50": 1.0}),), (Sample(0, {}),))
    assert compare([case]) == []
    with pytest.raises(UsageError, match="unknown metric 'tttf_p50'"):
        compare([case], metrics=["tttf_p50"])
