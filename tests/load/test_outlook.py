"""When a level is given up, and when not: arithmetic on requests chosen here, and real stages that are cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness.load.arrivals import ClosedLoop, ConstantRate, PoissonRate
from harness.load.metrics import summarise
from harness.load.outlook import Outlook
from harness.load.records import Outcome, RequestRecord
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.load.timetable import open_loop_times

Serve = Callable[..., Any]


def record(
    sent_s: float,
    *,
    ttft_s: float = 0.1,
    e2e_s: float = 1.0,
    outcome: Outcome = Outcome.SUCCEEDED,
    warmup: bool = False,
) -> RequestRecord:
    made = RequestRecord(index=0, scheduled_s=sent_s, sent_s=sent_s, ended_s=sent_s + e2e_s, outcome=outcome)
    made.warmup = warmup
    if outcome is Outcome.SUCCEEDED:
        made.first_token_s, made.last_token_s = sent_s + ttft_s, sent_s + e2e_s
        made.completion_tokens = 10
        made.chunk_times_s = np.linspace(sent_s + ttft_s, sent_s + e2e_s, 10)
        made.chunk_tokens = np.ones(10, np.int32)
    return made


def open_stage(rate: float, duration_s: float, slo: str | None = None) -> Stage:
    return Stage(arrivals=ConstantRate(rate), duration_s=duration_s, early_stop=True, slo=slo)


def outlook(stage: Stage) -> Outlook:
    made = Outlook(stage)
    if not stage.is_closed_loop:
        made.due_s = open_loop_times(stage, rng=np.random.default_rng(1))[0].tolist()
    return made


def test_a_level_is_given_up_at_the_miss_that_decides_it_and_not_before() -> None:
    # 100 requests in all; p90 of 100 values lies between the 90th and 91st: 11 misses settle it (10.9 is the bar).
    judged = outlook(open_stage(10, 10, "ttft_p90<=1s"))
    for i in range(30):
        judged.heard(record(i * 0.1))
    for i in range(10):
        judged.heard(record(3 + i * 0.1, ttft_s=2.0, e2e_s=3.0))
    assert judged.verdict(7.0, in_flight=0) is None
    judged.heard(record(4.0, ttft_s=2.0, e2e_s=3.0))
    assert judged.verdict(7.1, in_flight=0) == "hopeless: 11 of at most 100 requests miss ttft_p90<=1s"


@pytest.mark.parametrize(
    ("slo", "bad"),
    [
        ("e2e_p50<=2s", {"e2e_s": 3.0}),
        ("tpot_p50<=300ms", {"e2e_s": 5.0}),
        ("stall_p50<=300ms", {"e2e_s": 5.0}),
        ("ttft_p50<=1s", {"outcome": Outcome.HTTP_5XX}),
        ("ttft_p50<=1s,error_rate<=40%", {"outcome": Outcome.HTTP_5XX}),
    ],
)
def test_every_metric_of_an_slo_and_every_failure_counts(slo: str, bad: dict[str, Any]) -> None:
    judged = outlook(open_stage(10, 10, slo))
    for i in range(5):
        judged.heard(record(i * 0.1))
    for i in range(51):
        judged.heard(record(1 + i * 0.1, **bad))
    why = judged.verdict(8.0, in_flight=0)
    assert why is not None
    assert why.startswith("hopeless: 51 of at most 100 requests")


def test_pooled_gaps_decide_nothing_request_by_request() -> None:
    judged = outlook(open_stage(10, 10, "itl_p50<=10ms"))
    for i in range(90):
        judged.heard(record(i * 0.1, e2e_s=5.0))
    assert judged.verdict(9.0, in_flight=0) is None


def test_warm_up_and_unfinished_requests_do_not_count() -> None:
    judged = outlook(open_stage(10, 10, "ttft_p90<=1s"))
    for i in range(40):
        judged.heard(record(i * 0.1, ttft_s=5.0, e2e_s=6.0, warmup=True))
        judged.heard(record(i * 0.1, outcome=Outcome.UNFINISHED))
    assert judged.ended == 0
    assert judged.verdict(9.0, in_flight=0) is None


def test_a_closed_loop_is_bounded_by_its_users_and_the_fastest_request() -> None:
    # 2 users, 30 s: 4 s of it left and nothing faster than 1 s, so at most 2 x 5 more than the 24 that ended: 34.
    stage = Stage(arrivals=ClosedLoop(2), duration_s=30, early_stop=True, slo="ttft_p80<=500ms")
    judged = outlook(stage)
    for i in range(17):
        judged.heard(record(float(i)))
    for i in range(7):
        judged.heard(record(17.0 + i, ttft_s=0.9))
    assert judged.verdict(26.0, in_flight=2) is None  # 7 < 34 x 0.2 + 0.8 = 7.6
    judged.heard(record(25.0, ttft_s=0.9))
    assert judged.verdict(26.0, in_flight=2) == "hopeless: 8 of at most 35 requests miss ttft_p80<=500ms"


def test_nothing_succeeds_needs_twenty_failures_and_a_fifth_of_the_window() -> None:
    stage = Stage(arrivals=ClosedLoop(4), duration_s=30, early_stop=True)
    judged = outlook(stage)
    for i in range(20):
        judged.heard(record(i * 0.01, outcome=Outcome.CONNECT))
    assert judged.verdict(5.9, in_flight=4) is None
    assert judged.verdict(6.1, in_flight=4) == "nothing succeeds: 20 requests failed and none came through"
    judged.heard(record(6.0))
    assert judged.verdict(9.0, in_flight=4) is None


def played(
    *, rate: float, capacity: float, service_s: float, duration_s: float, warmup_s: float = 0.0, seed: int = 0
) -> tuple[str | None, float]:
    """A server of ``capacity`` requests/s in order of arrival: what is said of it first, and when."""
    stage = Stage(arrivals=PoissonRate(rate), duration_s=duration_s, warmup_s=warmup_s, early_stop=True)
    times, warmups = open_loop_times(stage, rng=np.random.default_rng(seed))
    judged = Outlook(stage, times[warmups:].tolist())
    start = np.zeros(len(times))
    free_s = 0.0
    for i, time in enumerate(times):
        start[i] = max(time, free_s)
        free_s = start[i] + 1 / capacity
    ends = start + service_s
    order = np.argsort(ends)
    told = 0
    for now in np.arange(0.25, warmup_s + duration_s, 0.25):
        while told < len(order) and ends[order[told]] <= now:
            i = order[told]
            judged.heard(
                record(
                    times[i], ttft_s=start[i] - times[i] + 0.05, e2e_s=ends[i] - times[i], warmup=i < warmups
                )
            )
            told += 1
        why = judged.verdict(float(now), in_flight=int((times <= now).sum() - (ends <= now).sum()))
        if why is not None:
            return why, float(now)
    return None, duration_s


@pytest.mark.parametrize("warmup_s", [0.0, 5.0])
@pytest.mark.parametrize("seed", range(5))
def test_an_overloaded_server_is_given_up_well_before_the_end(seed: int, warmup_s: float) -> None:
    why, at_s = played(rate=20, capacity=10, service_s=1.0, duration_s=60, warmup_s=warmup_s, seed=seed)
    assert why is not None
    assert why.startswith("over-saturated: ")
    assert at_s <= warmup_s + 36


@pytest.mark.parametrize("service_s", [0.2, 2.0, 12.0])
@pytest.mark.parametrize("load", [0.3, 0.8, 0.9])
@pytest.mark.parametrize("seed", range(6))
def test_a_server_that_keeps_up_is_never_given_up(load: float, service_s: float, seed: int) -> None:
    assert played(rate=20 * load, capacity=20, service_s=service_s, duration_s=60, seed=seed)[0] is None


def test_a_short_disturbance_is_not_taken_for_overload() -> None:
    # Ten seconds without a finish, then the backlog is worked off at three times the rate.
    judged = outlook(open_stage(10, 120))
    for i in range(100):
        judged.heard(record(i * 0.1, e2e_s=0.5))
    for tenth in range(120):
        judged.verdict(tenth * 0.1, in_flight=5)
    assert judged.verdict(20.0, in_flight=100) is None


# Real stages


def test_a_hopeless_stage_ends_early_and_its_point_says_so(serve: Serve, lab: ModuleType) -> None:
    server = serve(lab.answering(first_s=0.05, gap_s=0.0))
    stage = Stage(arrivals=PoissonRate(50), duration_s=12, drain_s=30, early_stop=True, slo="ttft_p50<=1ms")
    result = lab.load(server.url, stage)
    # About 600 requests are to come: half of them missing it settle it, after about 6 s of 12.
    assert result.ended_early is not None
    assert result.ended_early.startswith("hopeless: ")
    assert result.window_end_s < 11
    metrics = summarise(result)
    assert metrics.window_s == pytest.approx(result.window_end_s - result.window_start_s)
    assert metrics.verdict.state != "valid"  # void where this machine's own delays are too much besides
    assert f"ended early: {result.ended_early}" in metrics.verdict.reasons


def test_a_stage_in_which_nothing_succeeds_ends_early_whatever_its_kind(
    serve: Serve, lab: ModuleType
) -> None:
    async def refuse(request: Any, reply: Any) -> None:
        await reply.whole({"error": "down"}, status="503 Service Unavailable")

    server = serve(refuse)
    for arrivals in (PoissonRate(100), ClosedLoop(40)):
        result = lab.load(server.url, Stage(arrivals=arrivals, duration_s=3, early_stop=True))
        assert result.ended_early is not None
        assert result.ended_early.startswith("nothing succeeds")
        assert result.window_end_s < 3
        assert summarise(result).verdict.state == "void"


def test_an_over_saturated_stage_ends_early_and_leaves_nothing_running(serve: Serve, lab: ModuleType) -> None:
    turn = asyncio.Lock()

    async def one_at_a_time(request: Any, reply: Any) -> None:
        async with turn:
            if not reply.reader.at_eof():  # nobody waits any more
                await lab.answering(first_s=0.05, gap_s=0.0)(request, reply)

    server = serve(one_at_a_time)
    stage = Stage(arrivals=PoissonRate(60), duration_s=30, drain_s=30, early_stop=True)
    result = lab.load(server.url, stage, output=3)
    assert result.ended_early is not None
    assert result.ended_early.startswith("over-saturated: ")
    assert result.window_end_s < 25
    assert server.closed_within(5)
    slo_kept = summarise(result, slo=Slo.parse("ttft_p95<=100s"))
    assert slo_kept.slo_met is False


def test_without_the_option_a_lost_level_is_measured_to_its_end(serve: Serve, lab: ModuleType) -> None:
    async def refuse(request: Any, reply: Any) -> None:
        await reply.whole({"error": "down"}, status="503 Service Unavailable")

    result = lab.load(serve(refuse).url, Stage(arrivals=PoissonRate(200), duration_s=1))
    assert result.ended_early is None
    assert result.window_end_s == 1
