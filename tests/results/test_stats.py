from __future__ import annotations

import math

import numpy as np
import pytest

from harness.results.stats import (
    blocks_of,
    bootstrap_interval,
    mean_replicates,
    paired_interval,
    quantile_replicates,
    resampled_blocks,
    student_t_cdf,
    student_t_quantile,
    total_replicates,
)


@pytest.mark.parametrize(
    ("probability", "degrees", "expected"),
    [  # printed tables of Student's t
        (0.975, 1, 12.706),
        (0.975, 2, 4.303),
        (0.975, 5, 2.571),
        (0.975, 10, 2.228),
        (0.975, 30, 2.042),
        (0.95, 4, 2.132),
        (0.995, 7, 3.499),
    ],
)
def test_students_t_agrees_with_printed_tables(probability: float, degrees: int, expected: float) -> None:
    assert student_t_quantile(probability, degrees) == pytest.approx(expected, abs=6e-4)


def test_students_t_with_one_degree_is_cauchys() -> None:
    for t in (0.1, 1.0, 5.0):
        assert student_t_cdf(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi)


def test_the_paired_interval_of_a_worked_example() -> None:
    # mean 2, standard deviation 1, n 3: half width 4.3027 / sqrt(3)
    interval = paired_interval([1.0, 2.0, 3.0])
    assert interval is not None
    assert interval.low == pytest.approx(2 - 2.4841, abs=1e-3)
    assert interval.high == pytest.approx(2 + 2.4841, abs=1e-3)
    assert paired_interval([1.0]) is None


def test_blocks_last_five_latencies_where_they_fit_and_never_less_than_one() -> None:
    starts = np.array([0.0, 9.9, 10.0, 39.9, 40.0])
    labels, count = blocks_of(starts, window_s=40.0, mean_e2e_s=1.0) or (None, 0)
    assert count == 8  # 40 / 5
    assert labels is not None
    assert labels.tolist() == [0, 1, 2, 7, 7]
    short = blocks_of(starts, window_s=40.0, mean_e2e_s=8.0)
    assert short is not None
    assert short[1] == 5
    assert blocks_of(starts, window_s=40.0, mean_e2e_s=8.1) is None
    assert blocks_of(starts, window_s=0.0, mean_e2e_s=1.0) is None


def test_a_resample_that_draws_one_block_twice_gives_that_blocks_figures() -> None:
    values = np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0])
    blocks = np.array([0, 0, 0, 1, 1, 1])
    weights = np.array([[2, 0], [1, 1], [0, 2]])
    assert quantile_replicates(values, blocks, weights=weights, quantile=0.5).tolist() == [2.0, 3.0, 20.0]
    assert mean_replicates(values, blocks, weights=weights).tolist() == [2.0, 11.0, 20.0]
    assert total_replicates(np.array([5.0, 7.0]), weights=weights).tolist() == [10.0, 12.0, 14.0]


def test_every_resample_draws_as_many_blocks_as_there_are() -> None:
    weights = resampled_blocks(8, rng=np.random.default_rng(1), resamples=50)
    assert weights.shape == (50, 8)
    assert set(weights.sum(axis=1).tolist()) == {8}


def autocorrelated(rng: np.random.Generator, *, count: int, per_latency: int) -> np.ndarray:
    """Standard normal values whose correlation falls by e² over one mean latency."""
    phi = math.exp(-2.0 / per_latency)
    noise = rng.normal(size=count) * math.sqrt(1 - phi * phi)
    values = np.empty(count)
    values[0] = rng.normal()
    for index in range(1, count):
        values[index] = phi * values[index - 1] + noise[index]
    return values


def test_the_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """600 simulated runs of 80 mean latencies each; log-normal TTFT whose mean and quantiles are known exactly."""
    rng = np.random.default_rng(20261123)
    runs, length, per_latency, sigma = 600, 80, 8, 0.3
    truth = {"mean": sigma * sigma / 2, "p50": 0.0, "p90": sigma * 1.2815516}
    covered = dict.fromkeys(truth, 0)
    starts = np.arange(length * per_latency) / per_latency
    found = blocks_of(starts, window_s=float(length), mean_e2e_s=1.0)
    assert found is not None
    labels, count = found
    for _ in range(runs):
        values = np.exp(sigma * autocorrelated(rng, count=len(starts), per_latency=per_latency))
        weights = resampled_blocks(count, rng=rng, resamples=200)
        for name, expected in truth.items():
            if name == "mean":
                estimate, replicates = values.mean(), mean_replicates(values, labels, weights=weights)
            else:
                level = int(name[1:]) / 100
                estimate = np.quantile(values, level)
                replicates = quantile_replicates(values, labels, weights=weights, quantile=level)
            interval = bootstrap_interval(math.log(estimate), np.log(replicates), blocks=count)
            assert interval is not None
            covered[name] += not interval.excludes(expected)
    assert {name: 0.92 <= hits / runs <= 0.98 for name, hits in covered.items()} == dict.fromkeys(
        truth, True
    ), covered
