"""Arrival times as arithmetic: rates, spacing and seeds, with expected moments worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.errors import UsageError
from harness.load.arrivals import (
    Arrivals,
    ClosedLoop,
    ConstantRate,
    GammaRate,
    OpenLoop,
    PoissonRate,
    Ramp,
    StepSeries,
    TraceReplay,
    check,
    mean_rate,
    schedule,
)


def times_of(arrivals: OpenLoop, duration_s: float, seed: int = 7) -> Any:
    return schedule(arrivals, duration_s=duration_s, rng=np.random.default_rng(seed))


def test_a_constant_rate_is_evenly_spaced_and_begins_at_once() -> None:
    assert times_of(ConstantRate(4), 1.0).tolist() == [0.0, 0.25, 0.5, 0.75]
    assert times_of(ConstantRate(4), 1.01).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert len(times_of(ConstantRate(0.1), 5.0)) == 1


@pytest.mark.parametrize(
    "arrivals",
    [PoissonRate(50), GammaRate(50, 0.25), Ramp(10, 90), StepSeries((20, 0, 130)), ConstantRate(50)],
)
def test_every_process_is_sorted_within_its_duration_and_has_its_rate(arrivals: OpenLoop) -> None:
    times = times_of(arrivals, 200.0)
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] < 200.0
    # 50 req/s for 200 s: 10000; the standard deviation is 100 for Poisson, 200 for gamma of shape 1/4.
    assert abs(len(times) - 10_000) < 800
    assert mean_rate(arrivals, duration_s=200.0) == pytest.approx(50)


def test_the_same_seed_gives_the_same_times_and_another_seed_others() -> None:
    assert times_of(PoissonRate(5), 10).tolist() == times_of(PoissonRate(5), 10).tolist()
    assert times_of(PoissonRate(5), 10).tolist() != times_of(PoissonRate(5), 10, seed=8).tolist()


@pytest.mark.parametrize(("burstiness", "variation"), [(0.25, 2.0), (1.0, 1.0), (4.0, 0.5)])
def test_gamma_gaps_vary_as_the_shape_says(burstiness: float, variation: float) -> None:
    gaps = np.diff(times_of(GammaRate(100, burstiness), 400.0))
    assert gaps.std() / gaps.mean() == pytest.approx(variation, rel=0.05)


@pytest.mark.parametrize(
    ("arrivals", "dispersion"),
    [
        (ConstantRate(100), 0.0),
        (PoissonRate(100), 1.0),
        (GammaRate(100, 1.0), 1.0),
        (GammaRate(100, 0.25), 4.0),
        (GammaRate(100, 4.0), 0.25),
        (StepSeries((100, 100)), 1.0),
    ],
)
def test_counts_are_as_dispersed_as_the_gaps_vary(arrivals: OpenLoop, dispersion: float) -> None:
    # Over windows of many gaps the variance of a renewal process's counts is its mean times the gaps' squared
    # coefficient of variation, for gamma gaps 1 / shape. 400 windows: the estimate's own error is sqrt(2 / 400) = 7 %.
    counts = np.histogram(times_of(arrivals, 4000.0), bins=400, range=(0.0, 4000.0))[0]
    assert counts.mean() == pytest.approx(1000, rel=0.01)
    assert counts.var() / counts.mean() == pytest.approx(dispersion, rel=0.25, abs=0.01)


class EvenGaps:
    """Stands in for a generator: every exponential gap is 0.8 of its mean, every gamma gap its mean."""

    def exponential(self, scale: float, size: int) -> Any:
        return np.full(size, 0.8 * scale)

    def gamma(self, shape: float, scale: float, size: int) -> Any:
        return np.full(size, shape * scale)


def even(arrivals: OpenLoop, duration_s: float) -> Any:
    generator: Any = EvenGaps()
    return schedule(arrivals, duration_s=duration_s, rng=generator)


def test_gaps_of_poisson_and_gamma_have_the_mean_of_their_rate() -> None:
    assert even(PoissonRate(4), 1.0).tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert even(GammaRate(4, 0.5), 1.0).tolist() == pytest.approx([0.25, 0.5, 0.75])


@pytest.mark.parametrize(
    ("arrivals", "integral"),
    [
        # From 0 to 2 in 10 s: t² / 10. From 3 to 1: 3 t - t² / 10. From 2 to 2: 2 t.
        (Ramp(0, 2), lambda t: t * t / 10),
        (Ramp(3, 1), lambda t: 3 * t - t * t / 10),
        (Ramp(2, 2), lambda t: 2 * t),
    ],
)
def test_a_ramps_arrivals_are_where_its_integral_reaches_the_next_gap(arrivals: Ramp, integral: Any) -> None:
    # Both ends' mean for 10 s is the number of gaps' means: 10, 20, 20; gaps of 0.8 fit in 12, 24 and 24 times.
    times = even(arrivals, 10.0)
    total = integral(10.0)
    assert [integral(time) for time in times] == pytest.approx([0.8 * i for i in range(1, len(times) + 1)])
    assert 0.8 * len(times) < total <= 0.8 * (len(times) + 1) + 1e-9


def test_steps_arrivals_are_where_their_integral_reaches_the_next_gap() -> None:
    # 3 s at 1, at 0, at 2: the integral is 3 at 3 s and still at 6 s, then 9 at 9 s.
    times = even(StepSeries((1, 0, 2)), 9.0)
    assert times[:6].tolist() == pytest.approx([0.8, 1.6, 2.4, 6.1, 6.5, 6.9])
    assert len(times) == 11


def test_a_ramp_has_a_quarter_of_its_requests_in_its_first_half() -> None:
    # From 0 to r the integral at half time is 1/4 of the whole.
    times = times_of(Ramp(0, 100), 200.0)
    assert (times < 100).mean() == pytest.approx(0.25, abs=0.02)
    falling = times_of(Ramp(100, 0), 200.0)
    assert (falling < 100).mean() == pytest.approx(0.75, abs=0.02)


def test_steps_hold_each_rate_for_an_equal_part() -> None:
    times = times_of(StepSeries((10, 0, 40)), 300.0)
    counts = np.histogram(times, bins=[0, 100, 200, 300])[0]
    assert counts[1] == 0
    assert counts[0] == pytest.approx(1000, abs=150)
    assert counts[2] == pytest.approx(4000, abs=300)


def test_a_trace_is_stretched_sorted_and_cut() -> None:
    assert times_of(TraceReplay((3.0, 0.0, 1.0), stretch=2.0), 5.0).tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    "arrivals",
    [
        ClosedLoop(0),
        ConstantRate(0),
        PoissonRate(-1),
        PoissonRate(float("inf")),
        PoissonRate(float("nan")),
        GammaRate(1, 0),
        Ramp(0, 0),
        StepSeries(()),
        TraceReplay(()),
        TraceReplay((1.0,), stretch=0),
        TraceReplay((-1.0,)),
    ],
)
def test_figures_that_cannot_be_used_are_refused(arrivals: Arrivals) -> None:
    with pytest.raises(UsageError):
        check(arrivals)


@pytest.mark.parametrize(
    ("arrivals", "label"),
    [
        (ClosedLoop(8), "c8"),
        (PoissonRate(2.5), "2.5 req/s"),
        (ConstantRate(2), "2 req/s constant"),
        (GammaRate(2, 0.5), "2 req/s gamma 0.5"),
        (Ramp(1, 8), "1→8 req/s"),
        (StepSeries((1, 2)), "1,2 req/s"),
        (TraceReplay((0.0, 1.0), 2), "trace of 2 ×2"),
    ],
)
def test_labels(arrivals: Arrivals, label: str) -> None:
    assert arrivals.label == label
