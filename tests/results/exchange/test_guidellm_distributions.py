"""Worked by hand; ``test_peers.py`` holds them against guidellm itself."""

from __future__ import annotations

import numpy as np
import pytest

from harness.results.exchange.guidellm_distributions import (
    PERCENTILES,
    by_status,
    concurrency,
    distribution,
    merged,
    rates,
)


def test_percentiles_are_values_that_occurred() -> None:
    found = distribution(np.array([10.0, 2.0, 1.0, 2.0]), np.ones(4))
    assert (found["mean"], found["mode"], found["min"], found["max"], found["count"]) == (3.75, 2, 1, 10, 4)
    assert [found["percentiles"][name] for name in ("p25", "p50", "p75", "p90")] == [1, 2, 2, 10]
    # (2.75² + 2 x 1.75² + 6.25²) / 4
    assert found["variance"] == pytest.approx(13.1875)
    assert found["total_sum"] == pytest.approx(15)


def test_weights_move_the_percentiles() -> None:
    found = distribution(np.array([1.0, 5.0]), np.array([1.0, 9.0]))
    assert (found["median"], found["percentiles"]["p10"], found["count"]) == (5, 1, 10)
    assert found["mean"] == pytest.approx(4.6)


def test_nothing_is_zeros_and_a_count_of_zero() -> None:
    found = distribution(np.empty(0), np.empty(0))
    assert (found["mean"], found["count"], set(found["percentiles"])) == (0, 0, set(PERCENTILES))


def test_a_rate_is_an_event_over_half_the_time_between_its_neighbours() -> None:
    # events at 0 (none), 2, 4 and 10 (none): for 1, 2, 4 and 3 s at 0, 1/2, 1/4 and 0 a second
    found = rates(np.array([4.0, 2.0, 11.0]), np.ones(3), window=(0.0, 10.0))
    assert found["mean"] == pytest.approx(0.2)
    assert (found["max"], found["median"], found["count"]) == (0.5, 0.25, 2)


def test_events_closer_than_a_tenth_of_a_millisecond_are_one() -> None:
    times, weights = merged(np.array([1.00005, 1.0, 2.0, 1.00015]), np.array([1.0, 1.0, 1.0, 1.0]))
    assert times.tolist() == [1.0, 1.00015, 2.0]
    assert weights.tolist() == [2.0, 1.0, 1.0]


def test_concurrency_is_weighted_by_how_long_it_lasted() -> None:
    # from 1 to 8: 1 for 1 s, 2 for 2 s, 1 for 2 s, 0 for 2 s
    found = concurrency(np.array([0.0, 2.0]), np.array([4.0, 6.0]), np.ones(2), window=(1.0, 8.0))
    assert found["mean"] == pytest.approx(1.0)
    assert (found["max"], found["count"]) == (2, 2)


def test_each_status_has_its_own_and_total_has_all() -> None:
    one, none = (np.array([3.0]), np.ones(1)), (np.empty(0), np.empty(0))
    found = by_status([one, none, (np.array([5.0]), np.ones(1))], distribution)
    assert [found[name]["count"] for name in ("successful", "incomplete", "errored", "total")] == [1, 0, 1, 2]
    assert found["total"]["mean"] == 4
