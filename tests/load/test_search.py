"""Searches against servers whose limit is known, with samples large and small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.load.metrics import summarise
from harness.load.records import ClientStats, Outcome, RequestRecord, StageResult
from harness.load.search import KneeSearch, RateSearch, Trial, judge_level
from harness.load.slo import Slo

CLIENT = ClientStats("kernel", 0.0, 0.1, 0.0, 10, 10, 0.0, 1)
SLO = Slo.parse("ttft_p90<=1s")


def searched(limit: float, *, start: float, **options: float) -> RateSearch:
    search = RateSearch(start, **options)  # type: ignore[arg-type]
    while (level := search.next_level()) is not None:
        search.told(Trial(level, met=level <= limit, decided=True))
    return search


@pytest.mark.parametrize(("limit", "start"), [(7.3, 1.0), (7.3, 64.0), (0.11, 1.0), (1.0, 1.0), (900.0, 1.0)])
def test_the_highest_rate_is_bracketed_within_the_resolution(limit: float, start: float) -> None:
    search = searched(limit, start=start)
    assert search.highest_met is not None
    assert search.lowest_missed is not None
    assert search.highest_met.level <= limit < search.lowest_missed.level
    assert search.lowest_missed.level <= search.highest_met.level * 1.1
    assert "unresolved" not in search.answer()


def test_a_search_that_runs_out_of_steps_says_so() -> None:
    assert "unresolved" in searched(1e9, start=1.0).answer()
    assert searched(1e-9, start=1.0).answer().startswith("no rate down to")


def test_an_undecided_end_makes_the_answer_unresolved() -> None:
    search = RateSearch(1.0)
    for level, met, decided in ((1.0, True, True), (2.0, False, True), (1.41, True, False)):
        search.told(Trial(level, met=met, decided=decided))
    assert search.answer().startswith("unresolved: 1.41 req/s keeps")


def test_a_met_level_above_a_missed_one_does_not_count() -> None:
    search = RateSearch(1.0)
    for level, met in ((1.0, True), (2.0, False), (4.0, True)):
        search.told(Trial(level, met=met, decided=True))
    assert search.highest_met == Trial(1.0, met=True, decided=True)


def metrics_of(slow: int, total: int) -> StageResult:
    def record(i: int) -> RequestRecord:
        first = i * 0.01 + (2.0 if i < slow else 0.5)
        return RequestRecord(
            index=i, scheduled_s=i * 0.01, sent_s=i * 0.01, first_token_s=first, last_token_s=first, ended_s=first,
            chunk_times_s=np.array([first]), chunk_tokens=np.array([1], np.int32), completion_tokens=1,
            outcome=Outcome.SUCCEEDED,
        )  # fmt: skip

    stage = {"kind": "poisson-rate", "rate_req_s": 5.0, "requests": total}
    return StageResult("5 req/s", stage, [record(i) for i in range(total)], 0.0, 100.0, 0.0, CLIENT)


@pytest.mark.parametrize(
    ("slow", "total", "met", "decided"),
    [
        (0, 100, True, True),  # at least 96 % at 95 %: above 90 %
        (9, 100, True, False),  # 91 %, from 84 to 95
        (13, 100, False, False),  # 87 %, from 79 to 92
        (30, 100, False, True),  # 70 %, at most 78
        (0, 5, True, False),  # 5 of 5, from 57 on
    ],
)
def test_a_level_is_decided_when_its_interval_is_on_one_side(
    slow: int, total: int, met: bool, decided: bool
) -> None:
    trial = judge_level(5.0, summarise(metrics_of(slow, total), slo=SLO), SLO)
    assert (trial.met, trial.decided) == (met, decided)


def test_a_level_without_success_misses() -> None:
    empty = replace(metrics_of(0, 100), records=[])
    assert judge_level(5.0, summarise(empty, slo=SLO), SLO) == Trial(5.0, met=False, decided=True)


@pytest.mark.parametrize("knee", [1, 3, 8, 20, 100])
def test_the_knee_is_found_near_where_throughput_stops_growing(knee: int) -> None:
    search = KneeSearch()
    while (users := search.next_level()) is not None:
        search.told(users, 100.0 * min(users, knee))
    assert search.saturated
    assert 0.9 * knee <= search.knee() <= 1.15 * knee + 1
    assert "unresolved" not in search.answer()


def test_a_throughput_that_still_grows_is_unresolved() -> None:
    search = KneeSearch(most_users=64)
    while (users := search.next_level()) is not None:
        search.told(users, 10.0 * users)
    assert sorted(search.throughputs) == [1, 2, 4, 8, 16, 32, 64]
    assert search.answer().startswith("unresolved: ")


def knee_by_windows_of(rounds: float) -> KneeSearch:
    """A server with four places; every window holds so many requests one after another."""
    search = KneeSearch()
    while (users := search.next_level()) is not None:
        search.told(users, 100.0 * min(users, 4), rounds=rounds)
    assert search.knee() == 4
    return search


def test_a_knee_found_by_windows_of_few_rounds_is_unresolved_and_says_how_long_to_measure() -> None:
    long, short, none = (knee_by_windows_of(rounds) for rounds in (10.0, 4.0, 0.0))
    assert long.resolved
    assert long.answer() == "4 users reach 400 tok/s, the best seen is 400"
    assert not short.resolved
    assert short.answer() == (
        "unresolved: 4 users reach 400 tok/s, the best seen is 400, and the window at 4 users holds 4.0 requests one "
        "after another, and a tenth is told from 10 on: measure 2.5 times as long"
    )
    assert "is shorter than a request" in none.answer()
