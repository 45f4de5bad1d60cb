"""What deployments took, from stories of journals worked by hand: who had GPUs, from when to when."""

from __future__ import annotations

from typing import Any

import pytest

from harness.plan.cells import Cell
from harness.results.account import account
from harness.results.journal import Event
from harness.results.prices import PriceTable
from harness.results.spending import Paid, paid_stretches, spent

SHAPE = {"gpu_type": "gpua5000", "gpu_count": 2, "replicas": 3}
PRICES = PriceTable("EUR", "2026-01", "made up", {"gpua5000": {2: 5.0}})
Story = list[tuple[float, str, str, dict[str, Any]]]


def events(story: Story) -> list[Event]:
    return [Event(number, at, run, kind, data) for number, (at, run, kind, data) in enumerate(story)]


def lengths(story: Story) -> list[tuple[str, float, float | None]]:
    return [(paid.run_id, paid.since_unix, paid.until_unix) for paid in paid_stretches(events(story))]


def test_it_is_counted_from_the_intent_to_the_proof_and_through_hand_overs() -> None:
    story: Story = [
        (100.0, "a-r0", "create-intended", {"name": "a", **SHAPE}),
        (101.0, "a-r0", "created", {"deployment_id": "d"}),
        (400.0, "a-r0", "measured", {}),
        (460.0, "b-r0", "adopted", {"name": "a", "deployment_id": "d", **SHAPE}),
        (460.0, "a-r0", "handed-over", {"to": "b-r0"}),
        (820.0, "b-r0", "deleted", {}),
        (900.0, "b-r0", "create-intended", {"name": "b", **SHAPE}),
        (999.0, "b-r0", "deleted", {"never_created": True}),
    ]
    assert lengths(story) == [("a-r0", 100.0, 460.0), ("b-r0", 460.0, 820.0)]
    total = spent(paid_stretches(events(story)), PRICES, now_unix=2000.0)
    assert total.gpu_hours == pytest.approx(1.2)  # 720 s of 2 GPUs x 3 replicas
    assert total.cost == pytest.approx(3.0)  # 0.2 h of 3 replicas at 5.00
    assert total.open == ()


def test_failed_and_retried_runs_count_every_deployment_they_had() -> None:
    story: Story = [
        (0.0, "a-r0", "create-intended", {"name": "a1", **SHAPE}),
        (50.0, "a-r0", "failed", {"cause": "out-of-memory"}),
        (60.0, "a-r0", "deleted", {}),
        (70.0, "a-r0", "retried", {}),
        (80.0, "a-r0", "create-intended", {"name": "a2", **SHAPE}),
        (90.0, "a-r0", "deleted", {}),
        (95.0, "a-r0", "invalidated", {"reason": "another workload"}),
    ]
    assert lengths(story) == [("a-r0", 0.0, 60.0), ("a-r0", 80.0, 90.0)]


def test_a_deployment_found_late_counts_from_its_create() -> None:
    story: Story = [
        (10.0, "a-r0", "create-intended", {"name": "a", **SHAPE}),
        (70.0, "a-r0", "deleted", {"never_created": True, "not_found": True}),
        (500.0, "a-r0", "found-late", {"name": "a", "deployment_id": "d"}),
        (510.0, "a-r0", "deleted", {}),
    ]
    assert lengths(story) == [("a-r0", 10.0, 510.0)]


def test_time_without_replicas_costs_nothing() -> None:
    story: Story = [
        (0.0, "a-r0", "create-intended", {"name": "a", **SHAPE}),
        (100.0, "a-r0", "scale-intended", {"replicas": 0}),
        (110.0, "a-r0", "scaled", {"replicas": 0}),
        (1000.0, "b-r0", "adopted", {"name": "a", "deployment_id": "d", "paused": True, **SHAPE}),
        (1000.0, "a-r0", "handed-over", {"to": "b-r0"}),
        (1000.0, "b-r0", "scale-intended", {"replicas": 1}),
        (1100.0, "b-r0", "deleted", {}),
    ]
    paid = paid_stretches(events(story))
    assert [(each.run_id, each.since_unix, each.until_unix) for each in paid] == [
        ("a-r0", 0.0, 110.0),
        ("b-r0", 1000.0, 1100.0),
    ]
    assert [each.replicas for each in paid] == [3, 1]


def test_a_crash_while_scaling_down_counts_on() -> None:
    story: Story = [
        (0.0, "a-r0", "create-intended", {"name": "a", **SHAPE}),
        (100.0, "a-r0", "scale-intended", {"replicas": 0}),
        (900.0, "a-r0", "deleted", {}),
    ]
    assert lengths(story) == [("a-r0", 0.0, 900.0)]


def test_what_may_be_alive_is_counted_up_to_now_and_named() -> None:
    story: Story = [(100.0, "a-r0", "create-intended", {"name": "a", **SHAPE})]
    total = spent(paid_stretches(events(story)), PRICES, now_unix=700.0)
    assert total.gpu_hours == pytest.approx(1.0)
    assert [paid.run_id for paid in total.open] == ["a-r0"]


def test_a_clock_that_was_set_back_between_two_attempts_takes_nothing_away() -> None:
    story: Story = [
        (5000.0, "a-r0", "create-intended", {"name": "a", **SHAPE}),
        (100.0, "a-r0", "deleted", {}),
    ]
    total = spent(paid_stretches(events(story)), PRICES, now_unix=100.0)
    assert (total.gpu_hours, total.cost) == (0.0, 0.0)


def test_runs_that_are_in_no_plan_any_more_count() -> None:
    planned = Cell("gpu3", 1, 1, "0.15.1", "m", ())
    story: Story = [
        (0.0, "gone-r0", "create-intended", {"name": "a", **SHAPE}),
        (3600.0, "gone-r0", "deleted", {}),
    ]
    assert account([planned], repeats=1, events=events(story)).spent(PRICES).gpu_hours == pytest.approx(6.0)


def test_a_journal_that_does_not_name_the_gpus_is_read_with_the_plan() -> None:
    cell = Cell("gpua5000", 2, 3, "0.15.1", "m", ())
    story: Story = [
        (0.0, f"{cell.id}-r0", "create-intended", {"name": "a"}),
        (3600.0, f"{cell.id}-r0", "deleted", {}),
    ]
    assert paid_stretches(events(story), [cell]) == [Paid(f"{cell.id}-r0", "gpua5000", 2, 3, 0.0, 3600.0)]


def test_a_missing_price_makes_the_cost_unknown_and_no_deployment_costs_nothing() -> None:
    story: Story = [
        (0.0, "a-r0", "create-intended", {"name": "a", **(SHAPE | {"gpu_count": 1})}),
        (60.0, "a-r0", "deleted", {}),
    ]
    assert spent(paid_stretches(events(story)), PRICES, now_unix=60.0).cost is None
    assert spent([], None, now_unix=0.0).cost == 0.0
