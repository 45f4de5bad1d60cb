"""Both searches against servers of known capacity whose every measurement is a sample. The truth is by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.metrics import LoadMetrics, summarise
from harness.load.records import ClientStats, StageResult
from harness.load.search import KneeSearch, RateSearch, Trial, judge_level
from harness.load.slo import Slo
from harness.load.summary import wilson_interval
from harness.load.verdict import VALID, Verdict

SLO = Slo.parse("ttft_p90<=1s")
CLIENT = ClientStats("kernel", 0.0, 0.1, 0.0, 10, 10, 0.0, 1)
EMPTY = summarise(StageResult("", {"requests": 1}, [], 0.0, 1.0, 0.0, CLIENT), slo=SLO)
LEAST = 0.9  # the share of requests within the bound that ttft_p90 asks for


def share_within(rate: float, capacity: float) -> float:
    """Share of requests within the bound: 98 % far below the capacity, 90 % at it, ever less beyond."""
    return max(0.0, 0.98 - 0.08 * (rate / capacity) ** 4)


def measured(rate: float, capacity: float, requests: int, rng: np.random.Generator) -> LoadMetrics:
    """A level of that server: so many requests, each within the bound or not by chance."""
    within = int(rng.binomial(requests, share_within(rate, capacity)))
    low, high = wilson_interval(within, trials=requests)
    return replace(
        EMPTY,
        succeeded=requests,
        attainment=within / requests,
        attainment_low=low,
        attainment_high=high,
        slo_met=within >= LEAST * requests,
        verdict=Verdict(VALID),
    )


def find_rate(capacity: float, start: float, requests: int, seed: int) -> RateSearch:
    rng, search = np.random.default_rng(seed), RateSearch(start)
    while (rate := search.next_level()) is not None:
        search.told(judge_level(rate, measured(rate, capacity, requests, rng), SLO))
    return search


@settings(deadline=None)
@given(capacity=st.floats(0.05, 500), start=st.floats(0.05, 500))
def test_without_noise_the_bracket_holds_the_capacity(capacity: float, start: float) -> None:
    search = RateSearch(start, most_steps=60)
    while (rate := search.next_level()) is not None:
        assert all(rate != trial.level for trial in search.trials)
        search.told(Trial(rate, met=share_within(rate, capacity) >= LEAST, decided=True))
    assert search.resolved
    assert search.highest_met is not None
    assert search.lowest_missed is not None
    assert search.highest_met.level <= capacity * (1 + 1e-9)
    assert capacity <= search.lowest_missed.level <= search.highest_met.level * 1.1 * (1 + 1e-9)


@pytest.mark.parametrize("requests", [100, 400, 5000])
@pytest.mark.parametrize("capacity", [0.7, 4.4, 37.0])
def test_with_noise_what_is_claimed_is_right_and_the_rest_says_unresolved(
    capacity: float, requests: int
) -> None:
    searches = [find_rate(capacity, 1.0, requests, seed) for seed in range(200)]
    wrong = resolved = certain = 0
    for search in searches:
        kept, lost = search.sure
        wrong += (kept or 0.0) > capacity or (lost or np.inf) < capacity
        certain += kept is not None or lost is not None
        if search.resolved:
            resolved += 1
            assert search.highest_met is not None
            assert search.lowest_missed is not None
            assert search.sure == (search.highest_met.level, search.lowest_missed.level)
            assert "unresolved" not in search.answer()
        else:
            assert search.answer().startswith("unresolved: ")
    # Each of the few levels next to the capacity is judged wrongly with at most 2.5 %.
    assert certain >= 0.9 * len(searches)
    assert wrong <= 0.06 * len(searches)
    if requests == 5000:
        assert resolved > 0


def test_with_few_requests_the_searches_come_near_but_do_not_claim_to_know() -> None:
    searches = [find_rate(4.4, 1.0, 40, seed) for seed in range(200)]
    # 40 requests cannot tell 90 % from 95 %.
    assert sum(search.resolved for search in searches) <= 0.05 * len(searches)
    best = [search.highest_met.level for search in searches if search.highest_met is not None]
    assert len(best) > 150
    assert 0.5 * 4.4 <= float(np.median(best)) <= 1.5 * 4.4


def test_many_requests_resolve_the_capacity() -> None:
    searches = [find_rate(4.4, 1.0, 20_000, seed) for seed in range(50)]
    assert sum(search.resolved for search in searches) >= 10
    for search in searches:
        assert search.highest_met is not None
        assert 4.4 * 0.85 <= search.highest_met.level <= 4.4 * 1.05


@settings(deadline=None)
@given(
    knee=st.integers(1, 700),
    start=st.sampled_from([1, 1, 4, 16, 2000]),
    noise=st.sampled_from([0.0, 0.005, 0.02]),
    seed=st.integers(0, 10_000),
)
def test_the_knee_of_a_noisy_server_is_found_within_an_eighth(
    knee: int, start: int, noise: float, seed: int
) -> None:
    rng, search = np.random.default_rng(seed), KneeSearch(start)
    while (users := search.next_level()) is not None:
        assert users not in search.throughputs
        search.told(users, 100.0 * min(users, knee) * float(np.exp(rng.normal(0.0, noise))))
    assert search.resolved
    # Nine tenths of the best seen, which noise lifts a little; the bracket is an eighth wide, or one user.
    assert 0.9 * knee * (1 - 4 * noise) - 1 <= search.knee() <= 0.9 * knee * (1 + 8 * noise) * 1.15 + 1.5


def test_a_knee_search_that_may_not_go_on_says_so() -> None:
    search = KneeSearch(most_steps=3)
    while (users := search.next_level()) is not None:
        search.told(users, 10.0 * min(users, 3))
    assert not search.resolved
    assert search.answer().startswith("unresolved: ")
