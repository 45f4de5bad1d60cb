"""What ``harness plan`` prints for a reader; the figures in it are tested where they are made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.main import command

SWEEP = """
name: planned
model: Qwen/Qwen2.5-7B-Instruct
engine-version: "0.15.1"
parameters: [--max-model-len=4096]
matrix:
  gpu-type: [{families}]
  gpu-count: [1, 2]
workload: {{input-tokens: 128, output-tokens: 16{turns}}}
load: [{{concurrency: 4, duration: 10s}}]
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return tmp_path / "planned.yaml"


def plan(path: Path, *options: str) -> str:
    ran = CliRunner().invoke(command, ["plan", str(path), *options])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_a_reason_that_cells_share_is_given_once_with_their_number(sweep: Path) -> None:
    sweep.write_text(SWEEP.format(families="gpua5000, gpu3", turns=", turns: 2"), encoding="utf-8")
    lines = plan(sweep).splitlines()
    assert [line.strip() for line in lines if "no forecast" in line] == [
        "no forecast of 4 cells: conversations are not in the forecast's model"
    ]


def test_cells_that_are_not_listed_count_as_well(sweep: Path) -> None:
    text = SWEEP.format(families="gpua5000", turns=", turns: 2")
    values = ", ".join(str(1 + value) for value in range(30))
    sweep.write_text(
        text.replace("matrix:\n", f"matrix:\n  parameters: {{few: {{max-num-seqs: [{values}]}}}}\n"),
        encoding="utf-8",
    )
    lines = plan(sweep).splitlines()
    assert "  ... and 20 more (--all)" in lines
    assert any(line.strip().startswith("no forecast of 60 cells: ") for line in lines)


def test_cells_with_a_forecast_keep_it_beside_those_without(sweep: Path) -> None:
    sweep.write_text(SWEEP.format(families="gpua5000, gpua40", turns=""), encoding="utf-8")
    lines = plan(sweep).splitlines()
    assert sum("forecast at 4: " in line for line in lines) == 2
    assert "  no forecast of 2 cells: no facts of GPU 'gpua40'" in lines


def test_the_json_gives_the_reason_of_every_cell(sweep: Path) -> None:
    sweep.write_text(SWEEP.format(families="gpua5000, gpu3", turns=", turns: 2"), encoding="utf-8")
    cells = json.loads(plan(sweep, "--json"))["accepted"]
    reason = {"reason": "conversations are not in the forecast's model"}
    assert [cell["forecast"] for cell in cells] == [reason] * 4
