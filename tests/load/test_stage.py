"""Stages: their JSON form, their limits, and an open loop's timetable."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.errors import UsageError
from harness.load.arrivals import (
    Arrivals,
    ClosedLoop,
    ConstantRate,
    GammaRate,
    PoissonRate,
    Ramp,
    StepSeries,
    TraceReplay,
)
from harness.load.pool import check_open_files
from harness.load.stage import Stage, stage_from_json
from harness.load.timetable import open_loop_times

EVERY_KIND = [
    ClosedLoop(8),
    ConstantRate(2.0),
    PoissonRate(2.0),
    GammaRate(2.0, 0.5),
    Ramp(0.0, 4.0),
    StepSeries((1.0, 3.0)),
    TraceReplay((0.0, 1.0), 2.0),
]


@pytest.mark.parametrize("arrivals", EVERY_KIND, ids=lambda arrivals: type(arrivals).__name__)
def test_a_stage_survives_its_json_form(arrivals: Arrivals) -> None:
    stage = Stage(
        arrivals=arrivals, duration_s=30.0, requests=7, warmup_s=2.0, timeout_s=9.0, max_in_flight=3
    )
    assert stage_from_json(json.loads(json.dumps(stage.to_json()))) == stage


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "closed-loop", "duration_s": 1},
        {"kind": "closed-loop", "concurrency": 1, "rate": 2, "duration_s": 1},
        {"kind": "closed-loop", "concurrency": 1},
        {"kind": "closed-loop", "concurrency": 1, "duration_s": 0},
        {"kind": "closed-loop", "concurrency": 1, "requests": 0},
        {"kind": "closed-loop", "concurrency": 1, "requests": 1, "warmup_s": -1},
        {"kind": "closed-loop", "concurrency": 1, "requests": 1, "timeout_s": 0},
        {"kind": "poisson-rate", "rate_req_s": 1, "requests": 1, "max_in_flight": 0},
    ],
)
def test_what_is_no_stage_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        stage_from_json(data)


@pytest.mark.parametrize("arrivals", EVERY_KIND[1:], ids=lambda arrivals: type(arrivals).__name__)
def test_the_measured_arrivals_do_not_depend_on_the_warm_up(arrivals: Arrivals) -> None:
    cold = Stage(arrivals=arrivals, duration_s=20.0)
    warm = Stage(arrivals=arrivals, duration_s=20.0, warmup_s=5.0)
    measured, none = open_loop_times(cold, rng=np.random.default_rng(3))
    times, warmups = open_loop_times(warm, rng=np.random.default_rng(3))
    assert none == 0
    assert len(measured) >= 2
    assert times[warmups:] == pytest.approx(measured + 5.0)
    assert (times[:warmups] < 5.0).all()


@pytest.mark.parametrize("arrivals", EVERY_KIND[4:6], ids=lambda arrivals: type(arrivals).__name__)
def test_rates_that_change_need_a_duration_to_do_it_in(arrivals: Arrivals) -> None:
    with pytest.raises(UsageError, match="needs a duration"):
        Stage(arrivals=arrivals, requests=500)
    times, _ = open_loop_times(
        Stage(arrivals=arrivals, requests=50, duration_s=100.0), rng=np.random.default_rng(1)
    )
    assert len(times) == 50


@pytest.mark.parametrize("arrivals", EVERY_KIND[1:4], ids=lambda arrivals: type(arrivals).__name__)
def test_a_number_of_requests_is_met_exactly(arrivals: Arrivals) -> None:
    times, _ = open_loop_times(Stage(arrivals=arrivals, requests=500), rng=np.random.default_rng(1))
    assert len(times) == 500


@pytest.mark.parametrize(
    ("arrivals", "count"),
    [
        (Ramp(20, 80), 2000),
        (Ramp(0, 40), 4000),
        (StepSeries((0, 30, 5)), 3000),
        (PoissonRate(20), 2000),
        # 11 arrivals over 10 s.
        (TraceReplay(tuple(float(i) for i in range(11))), 110),
    ],
)
def test_the_warm_up_is_a_steady_load_at_the_rate_it_begins_with(arrivals: Arrivals, count: int) -> None:
    stage = Stage(arrivals=arrivals, duration_s=30.0, warmup_s=100.0)
    times, warmups = open_loop_times(stage, rng=np.random.default_rng(4))
    # Four standard deviations of a Poisson count.
    assert abs(warmups - count) < 4 * count**0.5
    halves = np.histogram(times[:warmups], bins=2, range=(0.0, 100.0))[0]
    assert abs(int(halves[0]) - int(halves[1])) < 4 * count**0.5


def test_a_trace_gives_no_more_requests_than_it_has() -> None:
    stage = Stage(arrivals=TraceReplay((0.0, 1.0, 2.0)), requests=500)
    assert len(open_loop_times(stage, rng=np.random.default_rng(1))[0]) == 3


def test_more_users_than_open_files_are_refused_in_one_line() -> None:
    stage = Stage(arrivals=ClosedLoop(1000), duration_s=1.0)
    check_open_files(stage, limit=1064)
    with pytest.raises(UsageError, match=r"1000 users need 1064 open files, this system allows 1063"):
        check_open_files(stage, limit=1063)
