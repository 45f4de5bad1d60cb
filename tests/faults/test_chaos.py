"""Sweeps killed at random against a failing zone; ``HARNESS_CHAOS_SWEEPS`` asks for more of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CHAOS = Path(__file__).with_name("chaos.py")


def test_nothing_leaks_and_nothing_is_lost_whatever_fails_or_is_killed() -> None:
    count = os.environ.get("HARNESS_CHAOS_SWEEPS", "20")
    ran = subprocess.run(
        [sys.executable, str(CHAOS), "--sweeps", count, "--seed", "7", "--jobs", "4"],
        capture_output=True,
        text=True,
        check=False,
    )
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    counts = json.loads(ran.stdout)
    assert counts["sweeps"] == int(count)
    assert counts["deployments_created"] >= counts["sweeps"]
    assert counts["deployments_deleted"] == counts["deployments_created"]
    assert sum(counts["signals"].values()) > 0
    assert sum(counts["faults"].values()) > 0
    broken = (
        "deployments_left",
        "foreign_deleted",
        "measurements_lost",
        "measured_twice",
        "unaccounted",
        "defects",
    )
    assert {name: counts[name] for name in broken} == dict.fromkeys(broken, 0)
