"""How the commands of a report are written; that they do the same again is ``tests/cli/test_reproduction.py``'s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from harness.results.reproduction import load_command, reproduction_section
from harness.results.resolved import Resolved

CLOSED = {
    "kind": "closed-loop",
    "label": "c8",
    "concurrency": 8,
    "duration_s": 20.0,
    "requests": None,
    "warmup_s": 3.0,
}
OPEN = {"kind": "gamma-rate", "label": "2.5 req/s", "rate_req_s": 2.5, "burstiness": 0.5, "requests": 100}


def resolved(**changes: Any) -> Resolved:
    usual: dict[str, Any] = {
        "name": "x", "started_at": "2026-11-23T16:00:00Z", "simulated": True, "deployer": "exoscale", "cells": (),
        "seed": 7, "load": (CLOSED, OPEN),
        "workload": {"input_tokens": {"kind": "fixed", "tokens": 256}, "output_tokens": {"kind": "x"}, "api": "chat"},
    }  # fmt: skip
    return Resolved(**(usual | changes))


@pytest.mark.parametrize(
    ("stage", "command"),
    [
        (
            CLOSED,
            "harness load URL --concurrency 8 --duration 20 --warmup 3 --input-tokens 256 --api=chat --seed 7",
        ),
        (
            OPEN,
            "harness load URL --rate 2.5 --arrivals gamma --burstiness 0.5 --requests 100 --input-tokens 256 "
            "--api=chat --seed 7",
        ),
        (
            {"kind": "ramp", "start_req_s": 1.0, "end_req_s": 8.0, "duration_s": 60.0, "max_in_flight": 9},
            "harness load URL --ramp 1,8 --duration 60 --max-in-flight 9 --input-tokens 256 --api=chat --seed 7",
        ),
        (
            {"kind": "step-series", "rates_req_s": [1.0, 0.5], "duration_s": 60.0},
            "harness load URL --steps 1,0.5 --duration 60 --input-tokens 256 --api=chat --seed 7",
        ),
        (
            {"kind": "trace-replay", "times_s": [0.0, 1.0], "stretch": 2.0, "requests": 2},
            "harness load URL --stretch 2 --requests 2 --input-tokens 256 --api=chat --seed 7",
        ),
    ],
)
def test_a_level_is_given_back_as_the_command_that_repeats_it(stage: Mapping[str, Any], command: str) -> None:
    assert load_command(stage, resolved(), seed=7) == command


def test_a_levels_command_says_the_whole_workload() -> None:
    workload = {
        "input_tokens": {"kind": "uniform", "low": 100, "high": 200},
        "output_tokens": {"kind": "normal", "mean": 100.0, "sd": 9.0, "low": 5, "high": 500},
        "conversations": {
            "turns": {"kind": "fixed", "tokens": 4},
            "think_time_ms": {"kind": "lognormal", "median": 1500.5, "sigma": 0.5, "low": 1, "high": 9000},
        },
        "items": 7,
        "streamed": False,
        "cache": "warm",
        "shared_prefixes": {"groups": 2, "tokens": 64},
        "extra": {"temperature": 0},
    }
    assert load_command(CLOSED, resolved(workload=workload), seed=1) == (
        "harness load URL --concurrency 8 --duration 20 --warmup 3 --prompts FILE --input-tokens 100-200 "
        "--output-tokens normal:100,9,5-500 --turns 4 --think-time lognormal:1500.5ms,0.5,1ms-9000ms "
        "--shared-prefix 2,64 --no-stream --cache=warm --extra '{\"temperature\": 0}' --seed 1"
    )


def test_lengths_that_this_version_does_not_know_are_left_out() -> None:
    assert "--output-tokens" not in load_command(CLOSED, resolved(), seed=1)


@pytest.mark.parametrize(
    ("deployer", "simulated", "end"),
    [
        ("local", False, "config.yaml --local"),
        ("exoscale", True, "--simulate"),
        ("exoscale", False, "config.yaml"),
    ],
)
def test_the_whole_sweep_is_repeated_the_way_it_was_deployed(
    deployer: str, simulated: bool, end: str
) -> None:
    section = reproduction_section(resolved(deployer=deployer, simulated=simulated))
    whole, *rows = section.tables[0].rows
    assert whole[1].text.endswith(end)
    assert [row[0].text for row in rows] == ["c8", "2.5 req/s"]
    assert rows[1][1].text.endswith("--seed 8")  # the second level's arrivals
    assert all(row[1].code for row in (whole, *rows))
