from __future__ import annotations

import math

import numpy as np
import pytest

from harness.results.stats import (
    Figure,
    Interval,
    Window,
    difference_interval,
    family_level,
    mean_figure,
    paired_interval,
    quantile_figure,
    student_t_cdf,
    student_t_quantile,
    sum_variance,
    total_figure,
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


def test_a_window_is_worth_a_component_for_every_eight_latencies() -> None:
    assert [Window(float(length), 1.0).components for length in (10, 23, 24, 64, 1000)] == [2, 2, 3, 8, 8]
    assert Window(9.9, 1.0).components is None
    assert Window(0.0, 1.0).components is None
    assert Window(10.0, 0.0).components is None
    assert Window(10.0, math.nan).components is None


def test_a_quantile_needs_ten_requests_and_two_latencies_beyond_it() -> None:
    assert Window(40.0, 1.0).reaches(0.95, count=200)
    assert not Window(40.0, 1.0).reaches(0.95, count=199)
    assert not Window(39.0, 1.0).reaches(0.95, count=200)
    assert Window(200.0, 1.0).reaches(0.99, count=1000)


def test_the_variance_of_a_sum_by_hand() -> None:
    # events at 0 and 4 of a window of 4, influence 1 and -1: cos(0) - cos(pi) = 2, then cos(0) - cos(2 pi) = 0
    times, influence = np.array([0.0, 4.0]), np.array([1.0, -1.0])
    assert sum_variance(times, influence, window_s=4.0, components=1) == pytest.approx(2 * 4)
    assert sum_variance(times, influence, window_s=4.0, components=2) == pytest.approx(4 + 0)


def test_independent_values_have_the_textbooks_variance() -> None:
    rng = np.random.default_rng(7)
    times = (np.arange(200) + 0.5) / 200
    found = [
        sum_variance(times, values - values.mean(), window_s=1.0, components=8)
        for values in rng.normal(0.0, 3.0, (2000, 200))
    ]
    assert np.mean(found) == pytest.approx(200 * 9, rel=0.04)


def test_a_mean_and_a_rate_have_symmetric_intervals_of_their_logarithm() -> None:
    window = Window(10.0, 1.0)
    times, values = np.array([0.0, 10.0]), np.array([3.0, 1.0])
    figure = mean_figure(values, times, window=window)
    assert figure is not None
    # influence 1 and -1: components 4 and 0, variance 4 of the sum, 1 of the mean of two; 1/2 of the mean itself
    assert (figure.log, figure.degrees) == (pytest.approx(math.log(2)), 2)
    assert figure.ends(1.0).high - figure.log == pytest.approx(0.5)
    assert figure.interval().low == pytest.approx(math.log(2) - 4.3027 / 2, abs=1e-3)
    rate = total_figure(times, values, window=window)
    assert rate is not None
    # 3 + 1 tokens in 10 s; the components are 3 - 1 = 2 and 3 + 1 = 4, their mean square twice: 20
    assert rate.log == pytest.approx(math.log(0.4))
    assert rate.ends(1.0).high - rate.log == pytest.approx(math.sqrt(20) / 4)


def test_a_quantiles_interval_is_read_off_the_sample_and_goes_on_beyond_it() -> None:
    values = np.exp(np.arange(1001) / 1000)  # the quantile of share p is exp(p)
    rng = np.random.default_rng(1)
    figure = quantile_figure(
        rng.permutation(values), np.linspace(0, 20, 1001), window=Window(20.0, 1.0), quantile=0.9
    )
    assert figure is not None
    assert figure.log == pytest.approx(0.9)
    near, far = figure.ends(0.1), figure.ends(1e3)
    assert near.high - 0.9 == pytest.approx(0.9 - near.low, rel=1e-3)
    # at ten thousand times the distance the sample has long ended, and the line goes on
    assert far.high - 0.9 == pytest.approx(1e4 * (near.high - 0.9), rel=1e-3)


def test_two_equal_runs_are_compared_at_both_their_degrees_of_freedom() -> None:
    one = Figure(1.0, 4, lambda t: Interval(1.0 - 0.1 * t, 1.0 + 0.1 * t))
    interval = difference_interval(one, one)
    # Student's t with 8 degrees, 2.306, times 0.1 times the square root of two
    assert interval.high == pytest.approx(2.306 * 0.1 * math.sqrt(2), abs=1e-4)
    assert interval.low == pytest.approx(-interval.high)


def test_a_run_that_is_sure_leaves_the_other_its_own_interval() -> None:
    sure = Figure(0.0, 8, lambda t: Interval(0.0, 0.0))
    lopsided = Figure(2.0, 4, lambda t: Interval(2.0 - 0.1 * t, 2.0 + 0.3 * t))
    interval = difference_interval(sure, lopsided)
    assert (interval.low, interval.high) == (
        pytest.approx(2 - 0.1 * 2.7764, abs=1e-4),
        pytest.approx(2 + 0.3 * 2.7764, abs=1e-4),
    )


def test_twenty_intervals_together_are_each_held_to_a_twentieth() -> None:
    assert family_level(20) == pytest.approx(0.9975)
    assert family_level(1) == family_level(0) == pytest.approx(0.95)
