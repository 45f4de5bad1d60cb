"""Budgets stop where the arithmetic says."""

from __future__ import annotations

import pytest

from harness.plan.cells import Cell
from harness.sweep.budget import Budget, RunEstimate, estimate_run


def test_an_estimate_counts_every_gpu_of_every_replica() -> None:
    cell = Cell("gpua5000", 2, 3, "0.15.1", "m", ())
    estimate = estimate_run(cell, ready_s=300, load_s=50, delete_s=10, price=lambda cell: 7.2)
    assert estimate.seconds == 360
    assert estimate.gpu_hours == pytest.approx(0.6)
    assert estimate.cost == pytest.approx(0.72)


def test_gpu_hours_admit_to_the_run_that_would_pass_the_limit() -> None:
    budget = Budget({f"r{n}": RunEstimate(360, 0.1, None) for n in range(200)}, max_gpu_hours=12.34)
    admitted = [run for run in budget.estimates if budget.admit(run) is None]
    assert admitted == [f"r{n}" for n in range(123)]
    assert "12.34" in (budget.admit("r150") or "")


def test_cost_admits_to_the_run_that_would_pass_the_limit() -> None:
    budget = Budget({f"r{n}": RunEstimate(360, 0.1, 0.5) for n in range(200)}, max_cost=50.2)
    assert sum(budget.admit(run) is None for run in budget.estimates) == 100


def test_a_run_without_a_price_is_not_launched_under_a_cost_limit() -> None:
    assert "unknown" in (Budget({"r": RunEstimate(1, 1, None)}, max_cost=5.0).admit("r") or "")


def test_what_a_run_really_took_replaces_its_estimate() -> None:
    budget = Budget({"a": RunEstimate(100, 1.0, 10.0), "b": RunEstimate(100, 1.0, 10.0)}, max_cost=15.0)
    assert budget.admit("a") is None
    assert budget.admit("b") is not None
    budget.settle("a", 50)
    assert budget.admit("b") is None
