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
    assert budget.admit("r150") == "it would bring the sweep to 12.40 GPU-hours, above the limit of 12.34"
    assert budget.refused == [*(f"r{n}" for n in range(123, 200)), "r150"]


def test_cost_admits_to_the_run_that_would_pass_the_limit() -> None:
    budget = Budget({f"r{n}": RunEstimate(360, 0.1, 0.5) for n in range(200)}, max_cost=50.2)
    assert sum(budget.admit(run) is None for run in budget.estimates) == 100


@pytest.mark.parametrize(
    ("each", "limit", "told"),
    [
        (0.02, 0.01, "to 0.02 GPU-hours, above the limit of 0.01"),
        (0.0206, 0.02, "to 0.021 GPU-hours, above the limit of 0.020"),  # 0.02 and 0.02 would tell nothing
        (0.008, 0.005, "to 0.008 GPU-hours, above the limit of 0.005"),
        (2.5, 0.0, "to 2.50 GPU-hours, above the limit of 0.00"),
        (100.0001, 100.0, "to 100.0001 GPU-hours, above the limit of 100.0000"),
    ],
)
def test_a_refusal_shows_the_digits_that_tell_sum_and_limit_apart(
    each: float, limit: float, told: str
) -> None:
    budget = Budget({"r": RunEstimate(360, each, None)}, max_gpu_hours=limit)
    assert budget.admit("r") == f"it would bring the sweep {told}"


def test_a_cost_is_told_in_its_currency() -> None:
    budget = Budget({"r": RunEstimate(360, 0.1, 0.5)}, max_cost=0.4, currency="EUR")
    assert budget.admit("r") == "it would bring the sweep to 0.50 EUR, above the cost limit of 0.40 EUR"


def test_a_run_without_a_price_is_not_launched_under_a_cost_limit() -> None:
    assert "unknown" in (Budget({"r": RunEstimate(1, 1, None)}, max_cost=5.0).admit("r") or "")


def test_what_a_run_really_took_replaces_its_estimate() -> None:
    budget = Budget({"a": RunEstimate(100, 1.0, 10.0), "b": RunEstimate(100, 1.0, 10.0)}, max_cost=15.0)
    assert budget.admit("a") is None
    assert budget.admit("b") is not None
    budget.settle("a", 50)
    assert budget.admit("b") is None
