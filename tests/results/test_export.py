from __future__ import annotations

import re

import pytest

from harness.results.export import openmetrics, vllm_bench
from harness.results.frame import load
from harness.results.store import RunFolder


def test_a_point_becomes_vllms_result_in_milliseconds(run_folder: RunFolder) -> None:
    run = load(run_folder.path)
    point = next(point for point in run.stored_points() if point.meta.label == "c32" and point.meta.simulated)
    row = run.points[
        (run.points["run_id"] == point.meta.run_id) & (run.points["point"] == point.meta.point)
    ].iloc[0]
    result = vllm_bench(point, row)
    assert (result["max_concurrency"], result["request_rate"], result["num_prompts"]) == (32, "inf", 240)
    assert result["completed"] + result["failed"] == 240
    assert result["total_output_tokens"] == 11 * result["completed"]
    assert result["harness_simulated"] is True
    # its TTFT ends with the role chunk, which the records have at half of ours
    assert result["median_ttft_ms"] == pytest.approx(row["ttft_p50_s"] * 500, rel=0.01)
    assert result["median_e2el_ms"] == pytest.approx(row["e2e_p50_s"] * 1000)


def test_openmetrics_has_a_sample_a_level_and_says_simulated(run_folder: RunFolder) -> None:
    run = load(run_folder.path)
    text = openmetrics(run.levels, name='sweep "x"', simulated=True)
    assert text.endswith("# EOF\n")
    samples = [line for line in text.splitlines() if line.startswith("harness_ttft_p95_seconds{")]
    assert len(samples) == 4
    assert all('simulated="true"' in sample and 'sweep="sweep \\"x\\""' in sample for sample in samples)
    assert "# UNIT harness_ttft_p95_seconds seconds" in text
    pattern = re.compile(r'[a-z0-9_]+\{([a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\} [0-9.e+-]+')
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == 9 * 4
    assert all(pattern.fullmatch(line) for line in lines)
