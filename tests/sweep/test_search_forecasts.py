"""Where searches should end, held against forecasts of plain levels at those loads and at twice as much."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.command import run_here

SWEEP = """\
name: found
model: Qwen/Qwen2.5-7B-Instruct
engine-version: "0.15.1"
parameters: [--max-model-len=4096]
gpu-type: gpua5000
workload: {{input-tokens: 128, output-tokens: 16}}
slo: {slo}
load: [{load}]
"""


def plan(folder: Path, load: str, *, slo: str = "tpot_p95<=40ms") -> dict[str, Any]:
    path = folder / "found.yaml"
    path.write_text(SWEEP.format(load=load, slo=slo))
    done = run_here("plan", str(path), "--json", environment=os.environ)
    assert done.returncode == 0, done.stderr
    [cell] = json.loads(done.stdout)["accepted"]
    return dict(cell)


def levels_of(folder: Path, load: str) -> list[dict[str, Any]]:
    return list(plan(folder, load)["forecast"]["levels"])


def test_a_rate_is_found_between_one_that_keeps_the_slo_and_one_that_does_not(tmp_path: Path) -> None:
    cell = plan(tmp_path, "{find: rate, from: 1, duration: 60s}")
    [search] = cell["searches"]
    low, high = search["at_least"], search["below"]
    assert high == 2 * low
    kept, missed = levels_of(tmp_path, f"{{rate: [{low}, {high}], duration: 60s}}")
    assert kept["tpot_ms"] < 40 < missed["tpot_ms"]  # the means lie on the bound's sides too
    assert [level["level"] for level in cell["forecast"]["levels"]] == [low]
    assert cell["forecast"]["levels"][0]["tpot_ms"] == kept["tpot_ms"]


@pytest.mark.parametrize(
    ("slo", "text"), [("tpot_p95<=1ms", "rate below 1 req/s"), ("ttft_p95<=1h", "rate 2 req/s or more")]
)
def test_a_rate_beyond_the_steps_says_on_which_side(tmp_path: Path, slo: str, text: str) -> None:
    cell = plan(tmp_path, "{find: rate, from: 1, duration: 60s, steps: 2}", slo=slo)
    assert [search["text"] for search in cell["searches"]] == [text]


def test_a_knee_is_found_where_nine_tenths_of_the_throughput_are_reached(tmp_path: Path) -> None:
    cell = plan(tmp_path, "{concurrency: 3, duration: 60s}, {find: knee, from: 1, duration: 60s, steps: 12}")
    [search] = cell["searches"]
    users = [2**step for step in range(12)]
    reached = [
        level["output_throughput_tok_s"]
        for level in levels_of(tmp_path, f"{{concurrency: {users}, duration: 60s}}")
    ]
    assert len(reached) == 12
    enough = min(count for count, each in zip(users, reached, strict=True) if each >= 0.9 * max(reached))
    assert (search["at_least"], search["below"]) == (enough / 2, enough)
    assert [level["level"] for level in cell["forecast"]["levels"]] == [
        3
    ]  # what is asked for stays what is shown
