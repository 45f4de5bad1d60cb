"""Runs of decode steps: against sums worked by hand, and against adding up one by one."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.forecast.decode_run import decode_run


@pytest.mark.parametrize(
    ("horizon", "steps", "seconds"),
    [
        (math.inf, 5, 70.0),  # 12 + 13 + 14 + 15 + 16
        (70.5, 5, 70.0),
        (25.0, 2, 25.0),
        (25.5, 3, 39.0),
        (0.5, 1, 12.0),
    ],
)
def test_a_rising_run_ends_with_the_step_that_reaches_the_horizon(
    horizon: float, steps: int, seconds: float
) -> None:
    assert decode_run(10.0, 1.0, 2.0, 5, horizon) == (steps, seconds)


@pytest.mark.parametrize(
    ("horizon", "steps", "seconds"),
    [
        (math.inf, 5, 73.0),  # 14 + 14 + 14 + 15 + 16: the line passes 12 after two steps
        (20.0, 2, 28.0),
        (42.5, 4, 57.0),
    ],
)
def test_behind_a_slower_host_the_run_is_level_first(horizon: float, steps: int, seconds: float) -> None:
    assert decode_run(10.0, 1.0, 2.0, 5, horizon, least=12.0) == (steps, seconds)


@given(
    st.floats(0.001, 0.1),
    st.floats(1e-7, 1e-3),
    st.floats(0.0001, 0.01),
    st.integers(1, 400),
    st.floats(0.001, 20.0),
    st.floats(0.0, 0.2),
)
def test_it_agrees_with_adding_up_step_by_step(
    first: float, slope: float, fixed: float, limit: int, horizon: float, least: float
) -> None:
    each = [max(first + slope * i, least) + fixed for i in range(limit)]
    sums = list(itertools.accumulate(each))
    assume(all(abs(reached - horizon) > 1e-9 for reached in sums))
    steps, seconds = decode_run(first, slope, fixed, limit, horizon, least=least)
    assert steps == next((i for i, reached in enumerate(sums, 1) if reached >= horizon), limit)
    assert seconds == pytest.approx(sums[steps - 1], rel=1e-9)
