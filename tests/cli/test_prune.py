"""``--prune`` from the plan to the report: what is left out is listed, is not deployed, and may be taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.results.frame import load
from harness.results.journal import read_events

SWEEP = """\
name: pruned
model: Qwen/Qwen2.5-7B-Instruct
engine-version: "0.15.1"
parameters: [--max-model-len=4096]
matrix:
  gpu-type: [gpua5000, gpu3080ti]
  gpu-count: [1]
  parameters:
    bf16: []
    same: [--max-num-seqs=64]
    awq: [--quantization=awq]
workload: {input-tokens: 64, output-tokens: 8, api: completions}
load:
  - {concurrency: 4, requests: 8, warmup: 0s}
timeouts: {ready: 60s, operation: 30s, delete: 30s, request: 20s}
"""
# Two cells of the small card cannot start; of the four others the two with 4-bit weights are each family's best.
RULE = "keep=25%,equivalent"


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "pruned.yaml"
    path.write_text(SWEEP, encoding="utf-8")
    return path


def test_a_plan_lists_what_is_left_out_and_what_runs_the_same(make_cloud: Any, sweep: Path) -> None:
    run: Callable[..., Any] = make_cloud().run
    whole = json.loads(run("plan", str(sweep), "--json").stdout)
    assert (whole["cells"], whole["runs"], whole["prune"], whole["pruned"]) == (6, 4, None, [])
    assert [(one["label"], one["of_label"]) for one in whole["equivalent"]] == [
        ("gpua5000×1 0.15.1 same", "gpua5000×1 0.15.1 bf16")
    ]
    text = run("plan", str(sweep)).stdout
    assert "same as gpua5000×1 0.15.1 bf16: gpua5000×1 0.15.1 same, 4 requests run at a time at most" in text
    assert "more or larger GPUs" in text  # the hint of a refusal
    pruned = json.loads(run("plan", str(sweep), "--json", "--prune", RULE).stdout)
    assert (pruned["cells"], pruned["runs"], pruned["prune"]) == (6, 2, RULE)
    assert [one["label"] for one in pruned["pruned"]] == ["gpua5000×1 0.15.1 bf16", "gpua5000×1 0.15.1 same"]
    assert pruned["gpu_hours"] == pytest.approx(whole["gpu_hours"] / 2)
    fits = pruned["accepted"][0]["forecast"]
    assert fits["largest_max_model_len"] == 32768
    assert fits["largest_max_num_seqs"] > 256


@pytest.mark.parametrize("options", [["--prune", "best"], ["--prune", "keep=20%", "--no-prune"]])
def test_a_rule_that_is_none_is_wrong_usage(make_cloud: Any, sweep: Path, options: list[str]) -> None:
    ran = make_cloud().run("plan", str(sweep), *options)
    assert ran.returncode == 2
    assert "prune" in ran.stderr


def test_a_sweep_leaves_them_out_says_so_and_takes_them_up_again(
    make_cloud: Any, sweep: Path, tmp_path: Path
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    sweep.write_text(SWEEP + "prune: {keep: 25%, equivalent: true}\n", encoding="utf-8")
    ran = cloud.run("sweep", str(sweep), "--yes", "--json", "--results", str(results))
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert [summary[name] for name in ("measured", "skipped", "refused", "pruned")] == [2, 0, 2, 2]
    assert "pruned gpua5000×1 0.15.1 same: runs the same as gpua5000×1 0.15.1 bf16" in ran.stderr
    assert len(cloud.state()["created"]) == 2
    skipped = [event for event in read_events(results / "journal.sqlite") if event.kind == "skipped"]
    assert len(skipped) == 2
    assert all(event.data["prune"] == RULE for event in skipped)
    run = load(results)
    assert run.resolved.prune == RULE
    assert len(run.resolved.pruned) == 2
    assert run.account.counts() == {"measured": 2, "refused": 2, "skipped": 2}
    report = (results / "report.md").read_text(encoding="utf-8")
    assert "2 of 6 cells were not measured: their forecast left them out" in report
    assert "pruned: predicted to take" in report

    again = cloud.run("sweep", str(sweep), "--resume", str(results), "--no-prune", "--yes", "--json")
    assert again.returncode == 0, again.stderr
    assert [json.loads(again.stdout)[name] for name in ("measured", "skipped", "pruned")] == [4, 0, 0]
    assert len(cloud.state()["created"]) == 4
    assert load(results).resolved.pruned == {}


def test_a_resumed_sweep_keeps_the_rule_it_was_started_with(
    make_cloud: Any, sweep: Path, tmp_path: Path
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    started = cloud.run(
        "sweep", str(sweep), "--prune", RULE, "--yes", "--results", str(results), "--max-gpu-hours", "0"
    )
    assert started.returncode == 1, started.stderr  # nothing was measured
    assert cloud.state()["created"] == []
    resumed = cloud.run("sweep", "--resume", str(results), "--max-gpu-hours", "9", "--yes", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert [json.loads(resumed.stdout)[name] for name in ("measured", "pruned")] == [2, 2]
    assert len(cloud.state()["created"]) == 2


def test_a_sweep_told_to_keep_every_cell_still_does_when_it_is_resumed(
    make_cloud: Any, sweep: Path, tmp_path: Path
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    sweep.write_text(SWEEP + "prune: {keep: 25%, equivalent: true}\n", encoding="utf-8")
    started = cloud.run(
        "sweep", str(sweep), "--no-prune", "--yes", "--results", str(results), "--max-gpu-hours", "0"
    )
    assert started.returncode == 1, started.stderr  # nothing was measured
    resumed = cloud.run("sweep", "--resume", str(results), "--max-gpu-hours", "9", "--yes", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert [json.loads(resumed.stdout)[name] for name in ("measured", "pruned")] == [4, 0]


def test_no_cells_are_called_equal_where_a_level_is_not_forecast(make_cloud: Any, sweep: Path) -> None:
    ramped = SWEEP.replace("load:\n", "load:\n  - {ramp: [0, 50], duration: 5s}\n")
    assert ramped != SWEEP
    sweep.write_text(ramped, encoding="utf-8")
    plan = json.loads(make_cloud().run("plan", str(sweep), "--json").stdout)
    assert len(plan["not_forecast"]) == 1
    assert plan["equivalent"] == []
