"""Hundreds of sweeps struck by faults and signals, each resumed or cleaned up: nothing leaks, nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SWEEPS = int(os.environ.get("HARNESS_CHAOS_SWEEPS", "300"))
SEED = os.environ.get("HARNESS_CHAOS_SEED", "1")
NEVER = (
    "deployments_left",
    "deployments_unintended",
    "foreign_deleted",
    "points_lost",
    "unaccounted",
    "defects",
)


def test_chaos_leaves_nothing_loses_nothing_and_accounts_for_every_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.sweep.chaos", "--sweeps", str(SWEEPS), "--seed", SEED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60 + 3 * SWEEPS,
        check=False,
    )
    assert ran.stdout, ran.stderr
    counts = json.loads(ran.stdout.splitlines()[-1])
    with capsys.disabled():
        print(f"\nchaos, seed {SEED}:")
        for name, count in counts.items():
            print(f"  {name}: {count}")
    assert {name: counts[name] for name in NEVER} == dict.fromkeys(NEVER, 0), ran.stderr
    assert counts["sweeps"] == SWEEPS
    assert counts["runs"] == sum(counts["outcomes"].values())
    assert counts["measured"] > SWEEPS
    assert counts["rounds"] > SWEEPS
    assert ran.returncode == 0
    if SWEEPS >= 300:
        assert set(counts["blows"]) == {"SIGINT", "SIGTERM", "SIGKILL"}
        assert set(counts["struck"]) == {"first attempt", "resume", "clean-up"}
        assert counts["scaled_to_zero"] >= 5
        assert len(counts["faults"]) >= 20
