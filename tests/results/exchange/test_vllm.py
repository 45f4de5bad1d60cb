from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.load.slo import Slo
from harness.results.exchange.vllm import vllm_bench
from harness.results.point import Point

PointOf = Callable[..., Point]
Row = dict[str, object]


def test_latencies_begin_with_the_role_chunk_and_end_with_the_last_message(
    point_of: PointOf, cell_row: Row
) -> None:
    found = vllm_bench(point_of(), cell=cell_row, verdict="valid", slo=None)
    assert found["mean_ttft_ms"] == pytest.approx(50)
    # 301 ms less the 50 ms of the role chunk, over 10 further tokens
    assert found["median_tpot_ms"] == pytest.approx(25.1)
    # per request a gap of 50 ms from the role chunk and 10 of 20 ms
    assert found["mean_itl_ms"] == pytest.approx(250 / 11)
    assert found["p99_e2el_ms"] == pytest.approx(301)
    assert found["std_e2el_ms"] == pytest.approx(0, abs=1e-6)


def test_throughput_is_over_the_whole_run_and_of_what_succeeded(point_of: PointOf, cell_row: Row) -> None:
    # requests at 0, 301.5 and 603 ms; the last ends at 904 ms
    found = vllm_bench(point_of(), cell=cell_row, verdict="valid", slo=None)
    assert found["duration"] == pytest.approx(0.904)
    assert (found["total_input_tokens"], found["total_output_tokens"]) == (192, 33)
    assert found["request_throughput"] == pytest.approx(3 / 0.904)
    assert found["output_throughput"] == pytest.approx(33 / 0.904)
    assert found["total_token_throughput"] == pytest.approx(225 / 0.904)
    # the one second of the run has 3 role chunks and 33 tokens, and all three requests touch it
    assert (found["max_output_tokens_per_s"], found["max_concurrent_requests"]) == (36.0, 3)


def test_failed_requests_are_counted_and_their_tokens_are_not(point_of: PointOf, cell_row: Row) -> None:
    found = vllm_bench(point_of(failures=1), cell=cell_row, verdict="suspect", slo=None)
    assert (found["num_prompts"], found["completed"], found["failed"]) == (3, 2, 1)
    assert found["total_output_tokens"] == 22
    assert (found["harness_verdict"], found["harness_simulated"]) == ("suspect", True)


def test_without_a_success_figures_are_null(point_of: PointOf, cell_row: Row) -> None:
    found = vllm_bench(point_of(failures=3), cell=cell_row, verdict="void", slo=None)
    assert (found["completed"], found["failed"], found["request_throughput"]) == (0, 3, 0.0)
    assert found["mean_ttft_ms"] is None
    assert found["total_output_tokens"] is None


def test_goodput_is_judged_by_vllms_own_latencies(point_of: PointOf, cell_row: Row) -> None:
    point = point_of()
    for slo, requests in (("ttft_p99<=60ms", 3), ("ttft_p99<=60ms,tpot_p99<=25ms", 0), ("e2e_p99<=302ms", 3)):
        found = vllm_bench(point, cell=cell_row, verdict="valid", slo=Slo.parse(slo))
        assert found["request_goodput"] == pytest.approx(requests / 0.904), slo
    stalls = vllm_bench(point, cell=cell_row, verdict="valid", slo=Slo.parse("stall_p99<=1s"))
    assert stalls["request_goodput"] is None  # vLLM has no such bound


def test_the_load_is_a_concurrency_or_a_rate(point_of: PointOf, cell_row: Row) -> None:
    closed = vllm_bench(point_of(), cell=cell_row, verdict="valid", slo=None)
    assert (closed["max_concurrency"], closed["request_rate"], closed["backend"]) == (1, "inf", "openai-chat")
    opened = vllm_bench(point_of(open_loop=True), cell=cell_row, verdict="valid", slo=None)
    assert (opened["request_rate"], "max_concurrency" in opened) == (3.3, False)
