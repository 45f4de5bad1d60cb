"""Figures of stages made by hand; every expected value is worked out in the test or its comment."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from harness.load.columns import columns_of, pack, records_of, unpack
from harness.load.metrics import LoadMetrics, summarise
from harness.load.records import ClientStats, Outcome, RequestRecord, StageResult
from harness.load.slo import Slo

CLIENT = ClientStats(
    clock="kernel",
    cpu_s=0.1,
    cpu_share=0.1,
    loop_lag_p99_s=0.0005,
    reads=100,
    kernel_reads=100,
    coalesced_read_share=0.0,
    connections_opened=1,
)


def record(
    sent: float, times: list[float], tokens: list[int] | None = None, *, late: float = 0.0, **fields: Any
) -> RequestRecord:
    """A request whose chunks arrive at ``times``; it succeeded and counted right unless told otherwise."""
    counts = [1] * len(times) if tokens is None else tokens
    given: dict[str, Any] = {
        "index": 0,
        "scheduled_s": sent - late,
        "sent_s": sent,
        "headers_s": sent,
        "first_token_s": times[0] if times else None,
        "last_token_s": times[-1] if times else None,
        "ended_s": times[-1] if times else sent,
        "chunk_times_s": np.array(times),
        "chunk_tokens": np.array(counts, np.int32),
        "tokens_assumed": False,
        "prompt_tokens": 10,
        "completion_tokens": sum(counts),
        "input_tokens_asked": 10,
        "output_tokens_asked": sum(counts),
        "outcome": Outcome.SUCCEEDED,
        "status": 200,
    }
    return RequestRecord(**{**given, **fields})


def metrics_of(
    *records: RequestRecord, window: tuple[float, float] = (0.0, 10.0), slo: str | None = None, **stage: Any
) -> LoadMetrics:
    described = {"kind": "closed-loop", "concurrency": 1, "requests": None, **stage}
    result = StageResult("c1", described, list(records), window[0], window[1], 0.0, CLIENT)
    return summarise(result, slo=None if slo is None else Slo.parse(slo))


def test_the_latencies_of_one_request() -> None:
    metrics = metrics_of(record(1.0, [1.5, 1.6, 1.8, 2.0], late=0.25))
    assert metrics.ttft.p50 == pytest.approx(0.5)
    assert metrics.ttft_from_schedule.p50 == pytest.approx(0.75)
    assert metrics.e2e.p50 == pytest.approx(1.0)
    assert metrics.e2e_from_schedule.p50 == pytest.approx(1.25)
    # 0.5 s for the three tokens after the first.
    assert metrics.tpot.p50 == pytest.approx(0.5 / 3)
    assert metrics.itl.count == 3
    assert metrics.itl.mean == pytest.approx(0.5 / 3)
    assert metrics.itl.max == metrics.stall.p50 == pytest.approx(0.2)
    assert metrics.lateness.max == pytest.approx(0.25)
    assert metrics.per_user_throughput_tok_s == pytest.approx(6.0)


def test_tpot_divides_by_the_tokens_after_the_first_chunk() -> None:
    metrics = metrics_of(record(0.0, [0.1, 0.18, 0.26], [4, 4, 4]))
    assert metrics.tpot.p50 == pytest.approx(0.16 / 8)
    assert metrics.tokens_per_chunk == 4


def test_one_token_answers_and_missing_usage_have_no_tpot() -> None:
    one = record(0.0, [0.1])
    uncounted = record(0.0, [0.1, 0.2, 0.3], completion_tokens=None)
    metrics = metrics_of(one, uncounted)
    assert metrics.tpot.count == 0
    assert metrics.tpot.p50 is None
    assert metrics.ttft.count == 2


def test_gaps_never_cross_from_one_request_to_the_next() -> None:
    metrics = metrics_of(record(0.0, [0.1, 0.2]), record(5.0, [5.1]), record(6.0, [6.1, 6.3]))
    assert metrics.itl.count == 2
    assert metrics.itl.max == pytest.approx(0.2)


def test_throughput_counts_tokens_where_they_arrive() -> None:
    # Window 2 to 4 s. The warm-up request has 1 token in it, the second 3, the unfinished one 2.
    warm = record(0.0, [1.0, 2.5], warmup=True)
    inside = record(2.0, [2.5, 3.0, 3.5])
    cut = record(3.0, [3.2, 3.9, 4.5], outcome=Outcome.UNFINISHED, ended_s=4.5)
    metrics = metrics_of(warm, inside, cut, window=(2.0, 4.0))
    assert metrics.output_throughput_tok_s == pytest.approx(6 / 2)
    # Two requests ended well in the window.
    assert metrics.request_throughput_req_s == pytest.approx(1.0)
    # Their shares: 1 of 2 tokens, 3 of 3, 2 of 3.
    assert metrics.steady_request_throughput_req_s == pytest.approx((1 / 2 + 1 + 2 / 3) / 2)
    assert (metrics.sent, metrics.succeeded, metrics.failed, metrics.unfinished) == (2, 1, 0, 1)
    # In flight: 0.5 s of the first, 1.5 s of the second, 1 s of the third, over 2 s.
    assert metrics.achieved_concurrency == pytest.approx(1.5)
    assert metrics.output_tokens == 2 + 3 + 3
    assert metrics.input_tokens == 30


def test_the_whole_run_variant_divides_by_first_send_to_last_end() -> None:
    metrics = metrics_of(record(1.0, [2.0, 3.0]), record(3.0, [4.0, 6.0, 7.0]))
    assert metrics.whole_run_output_throughput_tok_s == pytest.approx(5 / 6)
    assert metrics.whole_run_request_throughput_req_s == pytest.approx(2 / 6)


def test_assumed_tokens_are_scaled_to_the_servers_count() -> None:
    metrics = metrics_of(record(0.0, [1.0, 2.0], tokens_assumed=True, completion_tokens=6))
    assert metrics.output_throughput_tok_s == pytest.approx(0.6)
    assert metrics.tokens_assumed_share == 1.0


def test_an_answer_in_one_piece_arrives_with_its_last_byte() -> None:
    whole = record(0.0, [], first_token_s=None, last_token_s=4.0, ended_s=4.0, completion_tokens=50)
    metrics = metrics_of(whole)
    assert metrics.output_throughput_tok_s == pytest.approx(5.0)
    assert metrics.e2e.p50 == pytest.approx(4.0)
    assert metrics.ttft.count == 0


def test_goodput_is_never_above_the_rate_that_is_shown_beside_it() -> None:
    """Two users in lockstep, 1 s a request, the window over one and a half rounds but over two of their ends."""
    records = [record(float(begin), [begin + 0.5, begin + 1.0]) for begin in (0, 0, 1, 1)]
    metrics = metrics_of(*records, window=(0.9, 2.1), slo="ttft_p90<=1s")
    assert metrics.goodput_req_s == pytest.approx(4 / 1.2)
    # Half of each first answer came before the window.
    assert metrics.steady_request_throughput_req_s == pytest.approx(3 / 1.2)
    assert metrics.steady_goodput_req_s == pytest.approx(3 / 1.2)


def test_failures_are_in_no_latency_and_infinitely_late_in_the_adjusted_ones() -> None:
    good = [record(float(i), [i + 0.1]) for i in range(4)]
    failed = record(5.0, [5.01], outcome=Outcome.ERROR_EVENT)
    metrics = metrics_of(*good, failed)
    assert metrics.ttft.count == 4
    assert metrics.failures == {"error_event": 1}
    # Of 5 the median is the third; the 90th percentile lies between the fourth and infinity.
    assert metrics.adjusted["ttft"][50.0] == pytest.approx(0.1)
    assert metrics.adjusted["ttft"][90.0] == math.inf


def test_goodput_and_attainment_count_failures_against() -> None:
    quick = [record(float(i), [i + 0.1, i + 0.15]) for i in range(7)]
    slow = record(7.0, [8.0, 8.05])
    failed = [record(8.0, [8.1], outcome=Outcome.TRUNCATED), record(8.5, [], outcome=Outcome.TIMEOUT)]
    metrics = metrics_of(*quick, slow, *failed, slo="ttft_p90<=500ms,tpot_p90<=60ms")
    assert metrics.goodput_req_s == pytest.approx(0.7)
    # 8 of 10 s worth of requests were served, 7 of these 8 within the bounds.
    assert metrics.steady_goodput_req_s == pytest.approx(0.8 * 7 / 8)
    assert metrics.attainment == pytest.approx(0.7)
    # Wilson's interval of 7 in 10, from published tables.
    assert metrics.attainment_low == pytest.approx(0.3968, abs=1e-4)
    assert metrics.attainment_high == pytest.approx(0.8922, abs=1e-4)
    assert metrics.slo_met is False


def test_a_stage_meets_an_slo_by_its_percentiles() -> None:
    requests = [record(float(i), [i + 0.1 * (i + 1), i + 0.1 * (i + 1) + 0.05]) for i in range(5)]
    # TTFT: 100 to 500 ms; the 50th percentile is 300 ms, the 75th 400 ms.
    assert metrics_of(*requests, slo="ttft_p50<=300.1ms").slo_met is True
    assert metrics_of(*requests, slo="ttft_p75<=399ms").slo_met is False
    assert metrics_of(*requests, slo="itl_p99<=51ms,e2e<=600ms,stall<=51ms").slo_met is True
    assert metrics_of(*requests, slo="itl_p99<=49ms").slo_met is False


def test_an_error_rate_is_a_bound_too() -> None:
    requests = [*(record(float(i), [i + 0.1]) for i in range(9)), record(9.0, [], outcome=Outcome.HTTP_5XX)]
    assert metrics_of(*requests, slo="error_rate<=10%").slo_met is True
    assert metrics_of(*requests, slo="error_rate<=9%").slo_met is False


def test_lengths_that_are_not_honoured_are_counted() -> None:
    requests = [
        record(float(i), [i + 0.1] * 10, output_tokens_asked=asked) for i, asked in enumerate((10, 11, 12, 9))
    ]
    # 10 of 12 is 83 %, 10 of 9 is 111 %; 10 of 11 is 91 %.
    assert metrics_of(*requests).output_length_off_share == 0.5
    off = metrics_of(record(0.0, [0.1], prompt_tokens=11), record(1.0, [1.1], prompt_tokens=12))
    assert off.input_length_error == pytest.approx(0.15)


def test_cached_tokens_are_told_where_the_server_reports_them() -> None:
    assert metrics_of(record(0.0, [0.1])).cached_share is None
    metrics = metrics_of(record(0.0, [0.1], cached_tokens=8), record(1.0, [1.1], cached_tokens=0))
    assert metrics.cached_share == pytest.approx(0.4)
    assert any("prefix cache" in reason for reason in metrics.verdict.reasons)
    warm = metrics_of(record(0.0, [0.1], cached_tokens=8), workload={"cache": "warm"})
    assert not any("prefix cache" in reason for reason in warm.verdict.reasons)


def test_opening_connections_is_lateness_but_not_the_clients_own() -> None:
    metrics = metrics_of(record(1.0, [1.1], late=0.05, connect_time_s=0.02, tls_time_s=0.029))
    assert metrics.lateness.p50 == pytest.approx(0.05)
    assert metrics.client_lateness.p50 == pytest.approx(0.001)
    assert (metrics.connect.p50, metrics.tls.p50) == (pytest.approx(0.02), pytest.approx(0.029))


def test_a_queue_that_grows_means_the_rate_is_not_reached() -> None:
    served = [record(i * 0.1, [i * 0.1 + 0.2]) for i in range(50)]
    stuck = [
        record(5 + i * 0.1, [], outcome=Outcome.UNFINISHED, ended_s=12.0, completion_tokens=None)
        for i in range(50)
    ]
    rate = {"kind": "poisson-rate", "rate_req_s": 10.0}
    assert any("50 of 100" in reason for reason in metrics_of(*served, *stuck, **rate).verdict.reasons)
    assert not any("rate" in reason for reason in metrics_of(*served, **rate).verdict.reasons)


def test_a_stage_without_requests_has_no_figures_and_is_void() -> None:
    metrics = metrics_of()
    assert metrics.verdict.state == "void"
    assert (metrics.sent, metrics.ttft.p50, metrics.output_throughput_tok_s) == (0, None, 0.0)
    assert metrics_of(slo="ttft<=1s").attainment is None


def reasons_of(*records: RequestRecord) -> tuple[str, ...]:
    return metrics_of(*records, window=(0.0, 5.0)).verdict.reasons


def test_a_window_shorter_than_a_request_is_named_as_the_reason_with_one_that_would_do() -> None:
    # One of the warm-up took 8 s; of two that ended in the drain one took 8.3 s, the other 9 s: the median is 8.3 s.
    warm = record(-6.0, [1.0, 2.0], warmup=True, done_s=2.0)
    drained = [
        record(0.5, [1.0, 8.8], outcome=Outcome.UNFINISHED, done_s=8.8),
        record(0.5, [1.0, 9.5], outcome=Outcome.UNFINISHED, done_s=9.5),
    ]
    assert reasons_of(warm, *drained)[0] == (
        "the window (5 s) is shorter than a request (8.3 s median): none began and ended in it; measure for 25 s or "
        "longer, or until a number of requests have ended"
    )
    short = record(2.0, [2.5, 6.0], outcome=Outcome.UNFINISHED, done_s=6.0)
    assert reasons_of(short)[0] == (
        "no request began and ended within the window (5 s), and one takes 4.0 s (median); measure for 12 s or "
        "longer, or until a number of requests have ended"
    )
    cut = record(2.0, [2.5, 9.0], outcome=Outcome.UNFINISHED, completion_tokens=None)
    assert "no request ended within the window (5 s): 2 were still under way" in reasons_of(cut, cut)[0]
    failed = record(2.0, [], outcome=Outcome.TIMEOUT)
    assert reasons_of(cut, failed)[0] == "no request succeeded"


def test_drift_is_told_as_what_the_ends_of_the_window_had() -> None:
    # TTFT 1 s for 30 requests and 10 ms for 60 more: a straight line through them ends below 0.
    falling = [record(i * 0.1, [i * 0.1 + (1.0 if i < 30 else 0.01)]) for i in range(90)]
    (ttft,) = (text for text in metrics_of(*falling, window=(0.0, 9.0)).drift if text.startswith("TTFT"))
    assert ttft == "TTFT falls from 1000 to 10 ms over the window (medians of its first and last third)"
    # 12 bins of 1 s, with 10 tokens in each of the first four, 20 and 30 in those of the other two thirds.
    times = [
        second + (k + 0.5) / n for second in range(12) for n in (10 * (second // 4 + 1),) for k in range(n)
    ]
    (rate,) = metrics_of(record(0.0, times), window=(0.0, 12.0)).drift
    assert rate == "tokens/s rise from 10 to 30 over the window (medians of its first and last third)"


def test_a_rising_ttft_is_drift() -> None:
    rising = [record(i * 0.1, [i * 0.1 + 0.05 + i * 0.002]) for i in range(100)]
    assert any("TTFT rises" in reason for reason in metrics_of(*rising).verdict.reasons)
    ramp = metrics_of(*rising, kind="ramp", start_req_s=1.0, end_req_s=9.0)
    assert any("TTFT rises" in drift for drift in ramp.drift)
    assert not any("drifting" in reason for reason in ramp.verdict.reasons)
    rng = np.random.default_rng(2)
    steady = [record(i * 0.1, [i * 0.1 + 0.05 + rng.exponential(0.02)]) for i in range(99)]
    assert metrics_of(*steady).drift == ()


def test_records_survive_the_trip_through_columns_and_bytes() -> None:
    records = [record(1.0, [1.5, 1.6]), record(2.0, [], outcome=Outcome.TIMEOUT, detail="späť", status=None)]
    again = records_of(unpack(b"".join(pack(columns_of(records)))))
    assert len(again) == 2
    for before, after in zip(records, again, strict=True):
        for name in RequestRecord.__dataclass_fields__:
            assert np.array_equal(getattr(before, name), getattr(after, name)), name
    assert records_of(unpack(b"".join(pack(columns_of([]))))) == []
