from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.results.exchange.guidellm import guidellm_report
from harness.results.point import Point

PointOf = Callable[..., Point]
Row = dict[str, Any]


def report_of(*points: Point, cell: Row) -> dict[str, Any]:
    return guidellm_report(
        points, cell=cell, target="http://127.0.0.1:1/v1", verdicts=["valid"] * len(points)
    )


def test_latencies_are_guidellms(point_of: PointOf, cell_row: Row) -> None:
    metrics = report_of(point_of(), cell=cell_row)["benchmarks"][0]["metrics"]
    assert metrics["time_to_first_token_ms"]["successful"]["mean"] == pytest.approx(100)
    assert metrics["inter_token_latency_ms"]["successful"]["mean"] == pytest.approx(20)
    # its time per output token has the first token's wait in it: 300 ms for 11 tokens, weighted by tokens
    assert metrics["time_per_output_token_ms"]["successful"]["mean"] == pytest.approx(300 / 11)
    assert metrics["time_per_output_token_ms"]["successful"]["count"] == 33
    assert metrics["request_latency"]["successful"]["mean"] == pytest.approx(0.301)


def test_rates_and_concurrency_are_over_the_window(point_of: PointOf, cell_row: Row) -> None:
    metrics = report_of(point_of(), cell=cell_row)["benchmarks"][0]["metrics"]
    # a window of 904.5 ms: three requests of 301 ms, ends at 301, 602.5 and 904 ms, 33 tokens
    assert metrics["requests_per_second"]["successful"]["mean"] == pytest.approx(3 / 0.9045, rel=1e-3)
    assert metrics["request_concurrency"]["successful"]["mean"] == pytest.approx(0.903 / 0.9045, rel=1e-3)
    assert metrics["output_tokens_per_second"]["successful"]["mean"] == pytest.approx(33 / 0.9045, rel=1e-3)
    assert metrics["prompt_tokens_per_second"]["successful"]["mean"] == pytest.approx(192 / 0.9045, rel=1e-3)


def test_failures_are_errored_requests_with_their_reason(point_of: PointOf, cell_row: Row) -> None:
    benchmark = report_of(point_of(failures=1), cell=cell_row)["benchmarks"][0]
    totals = {"successful": 2, "incomplete": 0, "errored": 1, "total": 3}
    assert benchmark["metrics"]["request_totals"] == totals
    (errored,) = benchmark["requests"]["errored"]
    assert (errored["info"]["status"], errored["info"]["error"]) == ("errored", "no server")
    assert errored["output_metrics"]["text_tokens"] is None


def test_what_the_records_do_not_know_is_absent(point_of: PointOf, cell_row: Row) -> None:
    benchmark = report_of(point_of(), cell=cell_row)["benchmarks"][0]
    assert benchmark["metrics"]["time_to_first_output_token_ms"]["successful"]["count"] == 0
    assert benchmark["scheduler_metrics"]["queued_time_avg"] == -1.0
    assert "output" not in benchmark["requests"]["successful"][0]


def test_only_an_open_loop_has_a_schedule_to_be_late_against(point_of: PointOf, cell_row: Row) -> None:
    closed = report_of(point_of(), cell=cell_row)["benchmarks"][0]
    assert closed["config"]["strategy"] == {"type_": "concurrent", "streams": 1}
    assert "request_dispatch_delay" not in closed["metrics"]
    opened = report_of(point_of(open_loop=True), cell=cell_row)["benchmarks"][0]
    assert opened["config"]["strategy"] == {"type_": "poisson", "rate": 3.3}
    assert opened["metrics"]["request_dispatch_delay"]["successful"]["mean"] == pytest.approx(0, abs=1e-6)


def test_a_report_says_what_was_deployed_and_that_it_is_simulated(point_of: PointOf, cell_row: Row) -> None:
    report = report_of(point_of(), point_of(), cell=cell_row)
    labels = report["config"]["metadata"]["labels"]
    assert (labels["simulated"], labels["gpu_type"], labels["engine_version"]) == (
        "true",
        "gpua5000",
        "0.15.1",
    )
    assert report["config"]["spec"]["data"] == [
        {"kind": "synthetic_text", "prompt_tokens": 64, "output_tokens": 11}
    ]
    assert len(report["benchmarks"]) == 2
