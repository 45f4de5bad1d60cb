"""Percentiles, intervals, SLO texts, verdicts, trends: the small arithmetic, by hand or from published values."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.errors import UsageError
from harness.load.drift import trend
from harness.load.records import ClientStats
from harness.load.slo import PRESETS, Bound, Slo
from harness.load.summary import LatencySummary, adjusted_percentiles, summary, wilson_interval
from harness.load.verdict import Evidence, judge


def test_percentiles_are_interpolated_and_absent_values_do_not_count() -> None:
    found = summary(np.array([1.0, np.nan, 2.0, 3.0, 4.0, 5.0]))
    # Of five values the 90th percentile is at position 3.6: 4 + 0.6.
    assert (found.count, found.mean, found.p50, found.max) == (5, 3.0, 3.0, 5.0)
    assert found.p90 == pytest.approx(4.6)
    assert found.p99 == pytest.approx(4.96)


def test_a_summary_of_nothing_is_none_not_zero() -> None:
    assert summary(np.array([np.nan])) == LatencySummary(None, None, None, None, None, None, 0)


@pytest.mark.parametrize(
    ("percentile", "count", "enough"),
    [(50, 20, True), (50, 19, False), (99, 1000, True), (99, 999, False), (95, 200, True)],
)
def test_a_percentile_needs_ten_values_beyond_it(percentile: int, count: int, enough: bool) -> None:
    assert LatencySummary(1, 1, 1, 1, 1, 1, count).enough_for(percentile) is enough


def test_adjusted_percentiles_put_failures_last() -> None:
    found = adjusted_percentiles(np.array([3.0, 1.0, 2.0]), failed=1, wanted=(0.0, 50.0, 66.0, 67.0, 100.0))
    assert found[0.0] == 1.0
    assert found[50.0] == 2.5
    assert found[66.0] == pytest.approx(2.98)
    assert found[67.0] == math.inf
    assert found[100.0] == math.inf
    assert adjusted_percentiles(np.array([]), failed=0) == {}


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (50, 100, 0.4038, 0.5962),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_intervals_as_published(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials=trials) == pytest.approx((low, high), abs=1e-4)


def test_an_slo_is_read_and_written() -> None:
    slo = Slo.parse("ttft_p95<=1s, tpot_p95 <= 60ms,error_rate<=1%")
    assert slo.bounds == (Bound("ttft", 95.0, 1.0), Bound("tpot", 95.0, pytest.approx(0.06)))
    assert slo.error_rate == 0.01
    assert str(slo) == "ttft_p95<=1s,tpot_p95<=60ms,error_rate<=1%"
    assert Slo.parse(str(slo)) == slo
    assert Slo.parse("e2e<=2s").bounds[0].percentile == 99.0


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (0.0532, "tpot_p99 53 ms > 40 ms"),
        (0.0403, "tpot_p99 40.3 ms > 40 ms"),
        (0.04004, "tpot_p99 40.04 ms > 40 ms"),
        (0.0400000001, "tpot_p99 just above 40 ms > 40 ms"),
        (20.742, "tpot_p99 20742 ms > 40 ms"),
    ],
)
def test_what_is_above_a_limit_is_printed_in_digits_that_show_it(value_s: float, text: str) -> None:
    assert Slo.parse("tpot<=40ms").bounds[0].missed(value_s) == text


def test_what_keeps_a_limit_is_never_printed_as_what_misses_it() -> None:
    bound = Slo.parse("tpot_p95<=40.5ms").bounds[0]
    assert bound.reached(0.0404) == "tpot_p95 40 ms"
    assert bound.reached(0.0405) == "tpot_p95 40.5 ms"
    assert Slo.parse("tpot_p95<=40ms").bounds[0].reached(0.0399999999) == "tpot_p95 just under 40 ms"
    assert bound.missed(0.0409) == "tpot_p95 41 ms > 40.5 ms"


def test_every_preset_is_an_slo() -> None:
    assert len(PRESETS) == 11
    for name in PRESETS:
        assert [bound.metric for bound in Slo.parse(name).bounds] == ["ttft", "tpot"]
    assert Slo.parse("mlperf-llama-3.1-8b") == Slo.parse("ttft_p99<=2s,tpot_p99<=100ms")


@pytest.mark.parametrize(
    "text",
    ["", "fast", "ttft<=", "ttft<=5", "ttft_p0<=1s", "ttft_p100<=1s", "speed<=1s", "ttft>=1s", "ttft<=1s;"],
)
def test_what_is_no_slo_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Slo.parse(text)


GOOD = Evidence(
    client=ClientStats("kernel", 1.0, 0.2, 0.001, 1000, 1000, 0.0, 8),
    succeeded=1000,
    failed=0,
    ttft=LatencySummary(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 1000),
    lateness_p99_s=0.0002,
    arrivals=None,
    backlog=0,
    small_gap_share=0.0,
    output_length_off_share=0.0,
    input_length_error=0.0,
    unexpected_cached_share=0.0,
    drift=(),
    output_tok_s=1000.0,
)


def test_a_clean_point_is_valid() -> None:
    verdict = judge(GOOD)
    assert (verdict.state, verdict.reasons) == ("valid", ())


@pytest.mark.parametrize(
    ("evidence", "state", "words"),
    [
        (replace(GOOD, lateness_p99_s=0.005), "suspect", "client late.*5.0 ms"),
        (replace(GOOD, lateness_p99_s=0.06), "void", "client late"),
        (replace(GOOD, client=replace(GOOD.client, cpu_share=0.9)), "suspect", "client busy"),
        (replace(GOOD, client=replace(GOOD.client, cpu_share=0.99)), "void", "CPU-bound"),
        (replace(GOOD, client=replace(GOOD.client, clock="user")), "suspect", "user-space clock"),
        (
            replace(GOOD, client=replace(GOOD.client, clock="user", loop_lag_p99_s=0.03)),
            "void",
            "lags by 30 ms",
        ),
        (replace(GOOD, client=replace(GOOD.client, loop_lag_p99_s=0.03)), "suspect", "client slowed"),
        (replace(GOOD, client=replace(GOOD.client, coalesced_read_share=0.2)), "suspect", "several events"),
        # A lag above TTFT (100 ms) with a third of the reads coalesced; above the time per token with most of them.
        (
            replace(GOOD, client=replace(GOOD.client, loop_lag_p99_s=0.12, coalesced_read_share=0.3)),
            "void",
            "^client starved: its loop lags by 120 ms .p99., more than TTFT .100 ms, median., and 30%",
        ),
        (
            replace(
                GOOD, tpot_s=0.02, client=replace(GOOD.client, loop_lag_p99_s=0.03, coalesced_read_share=0.6)
            ),
            "void",
            "^client starved: .* more than the time per token .20.0 ms",
        ),
        (
            replace(
                GOOD, tpot_s=0.02, client=replace(GOOD.client, loop_lag_p99_s=0.03, coalesced_read_share=0.3)
            ),
            "suspect",
            "client slowed",
        ),
        (replace(GOOD, client=replace(GOOD.client, queued=3)), "suspect", "limit on requests in flight"),
        (replace(GOOD, failed=20), "suspect", "2.0% of the requests failed"),
        (replace(GOOD, failed=200), "void", "16.7% of the requests failed"),
        (replace(GOOD, succeeded=0, failed=5), "void", "no request succeeded"),
        (replace(GOOD, succeeded=5), "suspect", "too few samples"),
        (replace(GOOD, small_gap_share=0.5), "suspect", "in batches"),
        (replace(GOOD, output_length_off_share=0.02), "suspect", "output length not honoured"),
        (replace(GOOD, input_length_error=-0.05), "suspect", "input length is off"),
        (replace(GOOD, unexpected_cached_share=0.2), "suspect", "prefix cache"),
        (replace(GOOD, drift=("TTFT rises",)), "suspect", "drifting: TTFT rises"),
        (replace(GOOD, arrivals=100, backlog=40), "suspect", "40 of 100 requests piled up"),
        (replace(GOOD, ceiling_tok_s=900.0), "void", "faster than the hardware"),
        (replace(GOOD, modes=("bimodal: two speeds",)), "suspect", "^bimodal: two speeds"),
        (replace(GOOD, ended_early="hopeless: x"), "suspect", "^ended early: hopeless: x"),
        (replace(GOOD, server_restarted=True, failed=5), "void", "restarted: its counters went back"),
        (replace(GOOD, server_restarted=True), "suspect", "or several answer behind this address"),
    ],
)
def test_every_reason_not_to_believe_a_point(evidence: Evidence, state: str, words: str) -> None:
    import re

    verdict = judge(evidence)
    assert verdict.state == state
    assert any(re.search(words, reason) for reason in verdict.reasons), verdict.reasons


def test_void_reasons_come_first_and_all_are_told() -> None:
    verdict = judge(replace(GOOD, failed=200, arrivals=100, backlog=40, ended_early="hopeless: x"))
    assert verdict.state == "void"
    assert verdict.reasons[0] == "16.7% of the requests failed"
    assert len(verdict.reasons) == 3


def test_lateness_below_one_percent_of_ttft_is_no_reason() -> None:
    slow = LatencySummary(2, 2, 2, 2, 2, 2, 1000)
    assert judge(replace(GOOD, ttft=slow, lateness_p99_s=0.015)).state == "valid"


def test_chance_alone_is_no_backlog() -> None:
    # 100 Poisson arrivals have a standard deviation of 10: 25 more at the end is within three of them.
    assert judge(replace(GOOD, arrivals=100, backlog=25)).state == "valid"


def test_a_trend_must_be_both_significant_and_large() -> None:
    times = np.arange(100.0)
    noise = np.random.default_rng(1).normal(0, 0.01, 100)
    # From 1 to 1.5: half the mean of 1.25 less a hair.
    assert trend(times, 1 + times / 198 + noise) == pytest.approx(0.4, abs=0.02)
    assert trend(times, 1 + times / 2000 + noise / 10) is None  # significant, 5 % only
    assert trend(times, 1 + noise * 30) is None  # large, by chance
    assert trend(times[:5], times[:5]) is None  # too few
    # One value in ten thousand times the others drags the line up while nearly all values fall.
    falling = 2 - times / 200
    falling[-1] = 1e4
    assert trend(times, falling) is None
