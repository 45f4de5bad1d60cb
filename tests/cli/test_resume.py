"""``harness sweep CONFIG --resume DIR`` after an edit: what changed runs again, what did not does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.results.journal import read_events
from harness.sweep.states import Result, replay

SWEEP = """\
name: edited
model: Qwen/Qwen2.5-7B-Instruct
engine-version: "0.15.1"
matrix:
  gpu-type: [gpua5000]
  gpu-count: [1]
  parameters:
    narrow: [--max-model-len=4096, --max-num-seqs=8]
    middle: [--max-model-len=4096, --max-num-seqs=16]
    wide: [--max-model-len=4096, --max-num-seqs=32]
workload: {input-tokens: 64, output-tokens: 8, api: completions}
load:
  - {concurrency: 2, requests: 4, warmup: 0s}
timeouts: {ready: 60s, operation: 30s, delete: 30s, request: 20s}
"""


class Edited:
    """A sweep file, its results, and the cloud it was run on."""

    def __init__(self, cloud: Any, folder: Path) -> None:
        self.cloud = cloud
        self.config = folder / "edited.yaml"
        self.results = folder / "out"
        self.config.write_text(SWEEP, encoding="utf-8")

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")

    def run(self, *options: str) -> dict[str, Any]:
        ran = self.cloud.run("sweep", str(self.config), *options, "--yes", "--json")
        assert ran.returncode == 0, ran.stderr
        summary: dict[str, Any] = json.loads(ran.stdout)
        return summary

    def resume(self, *told: str) -> int:
        """How many deployments a resumption created; everything it created is gone again."""
        before = len(self.cloud.state()["created"])
        ran = self.cloud.run("sweep", str(self.config), "--resume", str(self.results), "--yes")
        assert ran.returncode == 0, ran.stderr
        assert all(text in ran.stderr for text in told), ran.stderr
        assert ("another than at the last attempt" in ran.stderr) is bool(told)
        assert (self.results / "config.yaml").read_bytes() == self.config.read_bytes()
        state = self.cloud.state()
        assert state["alive"] == []
        return len(state["created"]) - before

    def records(self) -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (self.results / "records").glob("*.parquet")}

    def reported(self) -> dict[str, str]:
        """Label and state of every cell in the report."""
        summary = json.loads((self.results / "summary.json").read_text(encoding="utf-8"))
        return {cell["parameters"]: cell["state"] for cell in summary["cells"]}


@pytest.fixture
def edited(make_cloud: Callable[..., Any], tmp_path: Path) -> Edited:
    return Edited(make_cloud(), tmp_path)


def test_a_resumed_sweep_runs_exactly_the_changed_cell_again(edited: Edited) -> None:
    assert edited.run("--results", str(edited.results))["measured"] == 3
    first = edited.records()
    assert len(first) == 3

    assert edited.resume() == 0
    assert edited.records() == first

    edited.edit("--max-num-seqs=16", "--max-num-seqs=24")
    assert edited.resume("2 cells as before, 1 new or changed, 1 no longer in it") == 1
    second = edited.records()
    assert len(second) == 4
    assert {name: second[name] for name in first} == first
    states = edited.reported()
    assert len(states) == 3
    assert set(states.values()) == {"measured"}
    assert any("--max-num-seqs=24" in label for label in states)
    assert not any("--max-num-seqs=16" in label for label in states)

    edited.edit("--max-num-seqs=24", "--max-num-seqs=16")
    # Of that cell there still is its first measurement.
    assert edited.resume("2 cells as before, 1 new or changed, 1 no longer in it") == 0
    assert edited.records() == second
    assert any("--max-num-seqs=16" in label for label in edited.reported())
    ledgers = replay(read_events(edited.results / "journal.sqlite"))
    assert [ledger.result for ledger in ledgers.values()] == [Result.MEASURED] * 4


def test_a_changed_load_measures_every_cell_again(edited: Edited) -> None:
    edited.edit("    wide: [--max-model-len=4096, --max-num-seqs=32]\n", "")
    assert edited.run("--results", str(edited.results))["measured"] == 2
    first = edited.records()
    edited.edit("requests: 4", "requests: 6")
    assert (
        edited.resume(
            "2 cells as before, 0 new or changed, 0 no longer in it",
            "2 runs measured before will be measured again",
        )
        == 2
    )
    again = edited.records()
    assert set(again) == set(first)
    assert all(again[name] != first[name] for name in first)


def test_the_config_of_another_sweep_does_not_resume_this_one(edited: Edited) -> None:
    edited.run("--results", str(edited.results))
    before = {path.name: path.read_bytes() for path in edited.results.iterdir() if path.is_file()}
    created = len(edited.cloud.state()["created"])
    edited.edit("name: edited", "name: other")
    ran = edited.cloud.run("sweep", str(edited.config), "--resume", str(edited.results), "--yes")
    assert ran.returncode == 2
    assert "that folder holds the sweep 'edited', and" in ran.stderr
    assert len(edited.cloud.state()["created"]) == created
    assert {path.name: path.read_bytes() for path in edited.results.iterdir() if path.is_file()} == before
