"""A plan as people read it: columns that line up, a reason said once, nothing where there is nothing."""

from __future__ import annotations

from typing import Any

from harness.cli.plan_text import as_text

LEVEL = {
    "level": 8.0,
    "output_throughput_tok_s": 341.4,
    "ttft_ms": 352.6,
    "tpot_ms": 26.52,
    "binding": "compute",
}
FORECAST = {
    "levels": [LEVEL], "interval": 0.25, "calibration": None, "largest_max_model_len": 32768,
    "largest_max_num_seqs": 2048,
}  # fmt: skip


def cell(label: str, *, forecast: dict[str, Any] = FORECAST, cost: float | None = None) -> dict[str, Any]:
    return {
        "id": label, "label": label, "gpus": 1, "seconds": 339.0, "gpu_hours": 0.09, "gpu_hours_interval": [0.04, 0.24],
        "cost": cost, "cost_interval": None if cost is None else [cost / 2, cost * 2], "forecast": forecast,
        "searches": [],
    }  # fmt: skip


def plan(*accepted: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {
        "name": "x", "cells": len(accepted), "runs": len(accepted), "deployments": len(accepted), "gpu_hours": 0.18,
        "gpu_hours_interval": [0.08, 0.48], "cost": None, "cost_interval": None, "currency": None, "not_forecast": [],
        "cost_at_least": None, "unpriced": [],
        "accepted": list(accepted), "refused": [], "pruned": [], "equivalent": [], "warnings": [], **parts,
    }  # fmt: skip


def test_a_row_a_cell_stands_under_its_heads() -> None:
    lines = as_text(plan(cell("a"), cell("longer")), show_all=False).splitlines()
    assert lines[:3] == [
        "cell    GPUs    time  GPU-h                tok/s  TTFT ms  TPOT ms  off by  bound by  longest  most seqs",
        "a          1  5m 39s  0.09 (0.04 to 0.24)    341      353     26.5    ±25%  compute     32768       2048",
        "longer     1  5m 39s  0.09 (0.04 to 0.24)    341      353     26.5    ±25%  compute     32768       2048",
    ]
    assert lines[-2] == "x: 2 cells, 0 refused, 2 runs on 2 deployments, 0.18 (0.08 to 0.48) GPU-hours"


def test_costs_have_a_column_where_there_are_prices() -> None:
    lines = as_text(plan(cell("a", cost=0.5)), show_all=False).splitlines()
    assert lines[0].startswith("cell  GPUs    time  GPU-h                cost                 tok/s")
    assert "0.50 (0.25 to 1.00)" in lines[1]


def test_a_family_without_a_price_is_named_and_the_others_are_the_least() -> None:
    parts = {"cost_at_least": 0.5, "unpriced": ["gpu3080ti×2"], "currency": "EUR"}
    lines = as_text(plan(cell("a", cost=0.5), cell("b"), **parts), show_all=False).splitlines()
    assert lines[-2].endswith("at least 0.50 EUR by the price file, which has no price of gpu3080ti×2")
    none = as_text(plan(cell("b"), **parts | {"cost_at_least": None}), show_all=False)
    assert "GPU-hours, no cost by the price file, which has no price of gpu3080ti×2\n" in none


def test_what_searches_should_find_stands_in_a_column_of_its_own() -> None:
    searching = cell("a") | {"searches": [{"text": "rate 8 to 16 req/s"}, {"text": "knee 4 to 8 users"}]}
    lines = as_text(plan(searching, cell("b")), show_all=False).splitlines()
    assert lines[0].endswith("most seqs  should find")
    assert lines[1].endswith("2048  rate 8 to 16 req/s, knee 4 to 8 users")
    assert "should find: between two steps of a search that doubles its load" in lines


def test_a_reason_for_no_forecast_is_said_once_with_how_many_cells_it_has() -> None:
    def without(reason: str) -> dict[str, Any]:
        return {"levels": [], "reason": reason}

    cells = [cell("a", forecast=without("talks")), cell("b", forecast=without("talks")), cell("c")]
    text = as_text(plan(*cells), show_all=False)
    assert "\nno forecast of 2 of 3 cells: talks\n" in text
    named = as_text(plan(*cells[1:]), show_all=False)
    assert "\nno forecast of b: talks\n" in named
    alone = as_text(plan(*cells[:2]), show_all=False)
    assert "\nno forecast of any cell: talks\n" in alone
    assert "TTFT" not in alone


def test_what_is_left_out_has_its_reason_and_what_would_help() -> None:
    left = {
        "refused": [{"label": "big", "reason": "too big", "hint": "more GPUs"}],
        "pruned": [{"id": "slow", "label": "slow", "reason": "cannot win"}],
        "equivalent": [
            {"id": "slow", "label": "slow", "of_label": "a", "reason": "the same"},
            {"id": "twin", "label": "twin", "of_label": "a", "reason": "the same"},
        ],
    }
    lines = as_text(plan(cell("a"), **left), show_all=False).splitlines()
    assert "refused big: too big; more GPUs" in lines
    assert "pruned slow: cannot win" in lines
    assert [line for line in lines if line.startswith("same as")] == [
        "same as a: twin, the same (--prune equivalent leaves it out)"
    ]
    assert "1 refused, 1 pruned" in lines[-2]


def test_a_long_plan_is_cut_unless_all_is_asked_for() -> None:
    cells = [cell(f"cell {number}") for number in range(43)]
    assert "... and 3 more (--all)" in as_text(plan(*cells), show_all=False)
    assert "more (--all)" not in as_text(plan(*cells), show_all=True)


def test_a_plan_without_cells_is_its_sum() -> None:
    text = as_text(plan(gpu_hours_interval=[0.0, 0.0], gpu_hours=0.0), show_all=False)
    assert (
        text.splitlines()[0]
        == "x: 0 cells, 0 refused, 0 runs on 0 deployments, 0.00 (0.00 to 0.00) GPU-hours"
    )
