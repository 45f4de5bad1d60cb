"""Two hundred cells with prices: what the plan sums, and the very cell at which each limit stops, worked by hand.

A run takes 300 s to start, 90 s of load and 30 s to end: 420 s, 7/60 h. Fifty cells each, in this order:

====================  =========  ==============  ==============
cells                 per hour   cost of a run   GPU-hours
====================  =========  ==============  ==============
gpua5000 x 1          1.20       0.14            7/60
gpua5000 x 2          2.40       0.28            14/60
gpurtx6000pro x 1     1.80       0.21            7/60
gpurtx6000pro x 2     3.60       0.42            14/60
====================  =========  ==============  ==============

All: 50 x 1.05 = 52.50 and 300 x 7/60 = 35 GPU-hours.

Starts and deletions are uncertain: a single one by a factor of exp(1.645 x 0.41 x sqrt(2)) = 2.5956 either way, the
mean of two hundred by exp(1.645 x 0.41 x sqrt(1 + 1/200)) = 1.9662. The load is not: it is given by its duration.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.plan.config import load_config
from harness.results.price_file import load_prices
from harness.sweep.budget import Budget, Meter, RunEstimate
from harness.sweep.deployers import Run
from harness.sweep.estimates import estimate_runs, price_of
from harness.sweep.interrupts import Interrupts
from harness.sweep.lifecycle import Lifecycle
from harness.sweep.opening import plan_runs
from harness.sweep.preflight import preflight
from harness.sweep.runner import Limits, SweepRunner
from harness.sweep.states import Result

PRICES = """\
currency: EUR
as-of: "2026-01"
what: a test
per-hour: {gpua5000: {1: 1.20, 2: 2.40}, gpurtx6000pro: {1: 1.80, 2: 3.60}}
"""
SETS = "\n".join(f"    s{number}: [--max-num-seqs={number}]" for number in range(1, 51))
CONFIG = f"""\
name: money
model: Qwen/Qwen2.5-7B-Instruct
engine-version: "0.15.1"
parameters: [--max-model-len=4096]
matrix:
  gpu-type: [gpua5000, gpurtx6000pro]
  gpu-count: [1, 2]
  parameters:
{SETS}
load:
  - {{concurrency: 4, duration: 90s, warmup: 0s}}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    config, prices = tmp_path / "money.yaml", tmp_path / "prices.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    prices.write_text(PRICES, encoding="utf-8")
    return config, prices


def test_the_plan_sums_two_hundred_cells(files: tuple[Path, Path]) -> None:
    config, prices = files
    command = [sys.executable, "-m", "harness", "plan", str(config), "--prices", str(prices), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    plan = json.loads(ran.stdout)
    assert (plan["cells"], plan["runs"], len(plan["accepted"])) == (200, 200, 200)
    assert plan["cost"] == pytest.approx(52.50)
    assert plan["gpu_hours"] == pytest.approx(35.0)
    costs = [cell["cost"] for cell in plan["accepted"]]
    assert costs == pytest.approx([0.14] * 50 + [0.28] * 50 + [0.21] * 50 + [0.42] * 50)
    low, high = 90 + 330 / 1.9662, 90 + 330 * 1.9662
    assert plan["cost_interval"] == pytest.approx([52.50 * low / 420, 52.50 * high / 420], rel=1e-4)
    assert plan["gpu_hours_interval"] == pytest.approx([35 * low / 420, 35 * high / 420], rel=1e-4)
    low, high = 90 + 330 / 2.5956, 90 + 330 * 2.5956
    assert plan["accepted"][0]["cost_interval"] == pytest.approx(
        [0.14 * low / 420, 0.14 * high / 420], rel=1e-4
    )


@pytest.mark.parametrize(
    ("max_cost", "max_gpu_hours", "launched"),
    [
        (None, None, 200),
        (52.50, None, 200),  # the whole sum is within the limit
        (52.49, None, 199),  # a cent less is one cell less
        (21.00, None, 100),  # 50 x 0.14 + 50 x 0.28 exactly
        (30.00, None, 142),  # and 42 x 0.21 = 8.82; the 43rd would make 30.03, and 0.18 buy nothing dearer
        (6.99, None, 49),  # 49 x 0.14 = 6.86; 0.13 are left
        (None, 35.0, 200),
        (None, 20.0, 121),  # 17.5 for the first hundred, 21 x 7/60 = 2.45; 0.05 are left
        (30.00, 20.0, 121),  # the tighter one stops it: 21.00 + 21 x 0.21 = 25.41
        (0.0, None, 0),
    ],
)
def test_a_limit_stops_launching_at_the_cell_that_would_pass_it(
    files: tuple[Path, Path],
    lifecycle: Lifecycle,
    platform,
    max_cost: float | None,
    max_gpu_hours: float | None,
    launched: int,
) -> None:
    config = load_config(str(files[0]))
    cells = preflight(config, managed=True).accepted
    assert len(cells) == 200
    estimates = estimate_runs(config, cells, price_of(load_prices(files[1])))
    budget = Budget(estimates, max_gpu_hours=max_gpu_hours, max_cost=max_cost)

    async def measure(run: Run, ready: object) -> None:
        return None

    runner = SweepRunner(
        lifecycle,
        measure=measure,
        keep_logs=lambda run_id, lines: f"logs/{run_id}.log",
        interrupts=Interrupts(),
        limits=Limits(parallel_deployments=1),
        admit=lambda run: budget.admit(run.id),
    )
    runs = plan_runs(cells, 1, token="t")
    outcome = asyncio.run(runner.run(runs))
    measured = [run.id for run in runs if outcome.ledgers[run.id].result is Result.MEASURED]
    assert measured == [run.id for run in runs][:launched]
    assert len(platform.created) == launched
    rest = [outcome.ledgers[run.id] for run in runs[launched:]]
    assert {ledger.result for ledger in rest} <= {Result.SKIPPED}
    assert all("limit of" in str(ledger.cause) for ledger in rest)
    assert sorted(platform.created) == sorted(platform.deleted)


def test_what_runs_really_took_counts_against_the_limit() -> None:
    now = [0.0]
    budget = Budget({name: RunEstimate(100, 1.0, 10.0) for name in "abcd"}, max_cost=40.0)
    meter = Meter(budget, clock=lambda: now[0])
    for name, took_s in (("a", 250.0), ("b", 50.0)):
        assert budget.admit(name) is None
        meter(name, "create-intended", {})
        now[0] += took_s
        meter(name, "deleted", {})
    # a cost 25 instead of 10, b 5 instead of 10: c makes it 40, d would make it 50.
    assert budget.admit("c") is None
    assert "50.00" in (budget.admit("d") or "")


def test_a_deployment_handed_over_is_paid_for_by_the_run_that_has_it() -> None:
    now = [0.0]
    budget = Budget({name: RunEstimate(100, 1.0, 10.0) for name in "abc"}, max_gpu_hours=3.0)
    meter = Meter(budget, clock=lambda: now[0])
    for seconds, run_id, kind in (
        (0, "a", "create-intended"),
        (100, "b", "adopted"),
        (0, "a", "handed-over"),
        (50, "b", "deleted"),
    ):
        now[0] += seconds
        if kind in ("create-intended", "adopted"):
            assert budget.admit(run_id) is None
        meter(run_id, kind, {})
    assert {name: run.seconds for name, run in budget.spent.items()} == {"a": 100.0, "b": 50.0}
