"""The report against its documented form, by hand; ``test_peers.py`` asks its own schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.plan.cells import Cell
from harness.results.exchange.llmd import llmd_report
from harness.results.figures import metrics_of
from harness.results.point import Point

PointOf = Callable[..., Point]
# What version 0.2 lets a figure be measured in.
UNITS = {
    "input_length": "count", "output_length": "count", "time_to_first_token": "s",
    "normalized_time_per_output_token": "s/token", "time_per_output_token": "s/token",
    "inter_token_latency": "s/token", "request_latency": "s", "input_token_rate": "tokens/s",
    "output_token_rate": "tokens/s", "total_token_rate": "tokens/s", "request_rate": "queries/s",
}  # fmt: skip
STATISTICS = {
    "units", "mean", "stddev", "min", "p0p1", "p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99",
    "p99p9", "max",
}  # fmt: skip


def report_of(point: Point, *, parameters: tuple[str, ...] = (), gpu_count: int = 1) -> dict[str, Any]:
    cell = Cell("gpua5000", gpu_count, 2, "0.15.1", "org/m", parameters)
    return llmd_report(point, cell=cell, label="a cell", sweep="demo", metrics=metrics_of(point), seed=7)


def aggregate(report: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = report["results"]["request_performance"]["aggregate"]
    return found


def statistics(report: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for group in aggregate(report).values():
        yield from ((name, value) for name, value in group.items() if isinstance(value, dict))


def test_every_figure_has_the_unit_that_the_form_allows(point_of: PointOf) -> None:
    found = dict(statistics(report_of(point_of())))
    assert {name: value["units"] for name, value in found.items()} == UNITS
    assert all(set(value) <= STATISTICS for value in found.values())


def test_figures_are_our_own_and_the_tool_is_named(point_of: PointOf) -> None:
    report = report_of(point_of())
    latency = aggregate(report)["latency"]
    assert latency["time_to_first_token"]["p50"] == pytest.approx(0.1)
    assert latency["time_per_output_token"]["mean"] == pytest.approx(0.02)
    assert latency["normalized_time_per_output_token"]["mean"] == pytest.approx(0.3 / 11)
    assert latency["request_latency"]["max"] == pytest.approx(0.3)
    assert report["scenario"]["load"]["standardized"]["tool"] == "harness"
    assert "SIMULATED" in report["run"]["description"]


def test_failed_requests_are_failures_and_in_no_latency(point_of: PointOf) -> None:
    requests = aggregate(report_of(point_of(failures=1)))["requests"]
    assert (requests["total"], requests["failures"], requests["incomplete"]) == (3, 1, 0)
    nothing = aggregate(report_of(point_of(failures=3)))["latency"]
    assert set(nothing.values()) == {None}


def test_the_engine_is_the_cell_with_the_sizes_its_parameters_come_to(point_of: PointOf) -> None:
    (engine,) = report_of(point_of(), parameters=("--pipeline-parallel-size=2",), gpu_count=4)["scenario"][
        "stack"
    ]
    standard = engine["standardized"]
    assert (standard["kind"], standard["tool"], standard["tool_version"]) == (
        "inference_engine",
        "vllm",
        "0.15.1",
    )
    assert (standard["role"], standard["replicas"], standard["model"]["name"]) == ("replica", 2, "org/m")
    sizes = {
        "tp": 2,
        "pp": 2,
        "dp": 1,
    }  # without a size of its own, tensor parallelism takes the GPUs that are left
    assert standard["accelerator"] == {"model": "gpua5000", "count": 4, "parallelism": sizes}


def test_the_load_is_a_concurrency_or_a_rate_with_the_lengths_asked_for(point_of: PointOf) -> None:
    closed = report_of(point_of())["scenario"]["load"]["standardized"]
    assert (closed["concurrency"], closed["rate_qps"]) == (1, None)
    assert closed["input_seq_len"] == {"distribution": "fixed", "value": 64.0}
    opened = report_of(point_of(open_loop=True))["scenario"]["load"]["standardized"]
    assert (opened["concurrency"], opened["rate_qps"]) == (None, 3.3)
