"""``harness plan`` warns of levels that are over before a request can be."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.cli.plan_windows import shortest
from harness.plan.config import LengthConfig
from tests.command import run_here

# 8 billion 16-bit weights read once a token: 16.1 GB at 768 GB/s are 21 ms, so that 512 tokens take 10.7 s at the
# least on an A5000, 4.6 s on a card of 1792 GB/s. The forecast's interval allows a quarter less.
SWEEP = """\
model: meta-llama/Llama-3.1-8B-Instruct
engine-version: "0.15.1"
parameters: [--max-model-len=8192]
matrix: {gpu-type: [gpua5000, gpurtx6000pro]}
workload: {input-tokens: 512, output-tokens: %s}
load:
  - {concurrency: 2, duration: 60s}
  - %s
"""


def warned(folder: Path, level: str, output: str = "512") -> list[dict[str, str]]:
    path = folder / "s.yaml"
    path.write_text(SWEEP % (output, level))
    done = run_here("plan", "--json", str(path), environment=os.environ)
    assert done.returncode == 0
    return [one for one in json.loads(done.stdout)["warnings"] if one["code"] == "window-too-short"]


@pytest.mark.parametrize(
    ("level", "which"),
    [
        ("{concurrency: 8, duration: 2s}", "every cell"),  # with its warm-up 2.2 s
        ("{rate: 1, duration: 2s}", "every cell"),
        ("{concurrency: 8, duration: 6s, warmup: 0s}", "1 of 2 cells"),
    ],
)
def test_level_that_no_request_can_end_in_is_told_with_its_place(
    tmp_path: Path, level: str, which: str
) -> None:
    (one,) = warned(tmp_path, level)
    assert one["location"] == f"{tmp_path / 's.yaml'}:8:5"
    assert one["message"].startswith(one["location"])
    assert f"on {which} a request takes about" in one["message"]
    assert "none would succeed; duration: " in one["message"]


@pytest.mark.parametrize(
    ("level", "output"),
    [
        ("{concurrency: 8, duration: 60s}", "512"),
        ("{concurrency: 8, requests: 5}", "512"),
        (
            "{concurrency: 8, duration: 2s, warmup: 20s}",
            "512",
        ),  # those begun in the warm-up end in the window
        ("{concurrency: 8, duration: 2s}", "{distribution: uniform, min: 8, max: 1016}"),  # short ones end
    ],
)
def test_level_that_some_request_can_end_in_is_let_be(tmp_path: Path, level: str, output: str) -> None:
    assert warned(tmp_path, level, output) == []


def test_people_are_told_too(tmp_path: Path) -> None:
    warned(tmp_path, "{concurrency: 8, duration: 2s}")
    done = run_here("plan", str(tmp_path / "s.yaml"), environment=os.environ)
    assert f"warning window-too-short: {tmp_path / 's.yaml'}:8:5: concurrency 8 lasts 2.2 s" in done.stdout


@pytest.mark.parametrize(
    ("length", "tokens"),
    [
        (LengthConfig("fixed", mean=512), 512),
        (LengthConfig("uniform", minimum=8, maximum=99), 8),
        (LengthConfig("empirical", values=(64, 32)), 32),
        (LengthConfig("normal", mean=100, stddev=20), 60),
        (LengthConfig("lognormal", mean=100, stddev=80, minimum=16), 16),
    ],
)
def test_short_answer_of_a_distribution(length: LengthConfig, tokens: float) -> None:
    assert shortest(length) == tokens
