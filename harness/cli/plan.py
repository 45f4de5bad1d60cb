"""``harness plan``: expand, lint, forecast and price a sweep; creates nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.calibrating import calibration_option, read_calibrations
from harness.cli.plan_text import SHOWN_CELLS, as_text
from harness.cli.plan_windows import short_windows
from harness.cli.pruning import Pruner, prune_options, rule_of, said

if TYPE_CHECKING:
    from harness.plan.cells import Cell
    from harness.plan.config import SweepConfig
    from harness.results.prices import PriceTable
    from harness.sweep.equivalence import Twin
    from harness.sweep.forecasts import CellForecast
    from harness.sweep.preflight import Preflight, Refusal


@click.command("plan", short_help="Expand, lint, forecast and price a sweep; creates nothing.")
@click.argument("config", type=click.Path())
@click.option(
    "--prices",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Hourly prices, as configs/prices.yaml.",
)
@click.option(
    "--local", is_flag=True, help="For engines on this machine: the platform's own rules do not hold."
)
@click.option(
    "--reuse", is_flag=True, help="Count one deployment moved from cell to cell, as sweep --reuse would."
)
@prune_options
@calibration_option
@click.option(
    "--parallel-deployments",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    metavar="N",
    help="Count what so many deployments at a time wait for each other's load tests, as in sweep.",
)
@click.option("--all", "show_all", is_flag=True, help=f"List every cell, not the first {SHOWN_CELLS}.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(
    config: str,
    *,
    prices: Path | None,
    local: bool,
    reuse: bool,
    prune: str | None,
    no_prune: bool,
    calibration: Path | None,
    parallel_deployments: int,
    show_all: bool,
    as_json: bool,
) -> int:
    """List the cells of CONFIG: which would run, which are refused or pruned and why, how long and how much it takes.

    Cells that would run the same as another are named in any case. Exit code 1 when no cell can run.

    \b
    harness plan configs/demo.yaml --prices configs/prices.yaml
    harness plan configs/demo.yaml --prune keep=20%,equivalent
    harness plan configs/demo.yaml --calibration results/demo
    """
    from harness.plan.config import load_config
    from harness.results.price_file import load_prices
    from harness.sweep.forecasts import has_searches
    from harness.sweep.preflight import preflight

    loaded = load_config(config)
    table = None if prices is None else load_prices(prices)
    rule = rule_of(loaded, said(prune, no_prune=no_prune))
    pruner = Pruner(loaded, rule, table, read_calibrations(calibration))
    whole = preflight(loaded, managed=not local)
    forecasts = pruner.forecast(whole)
    found: Mapping[str, CellForecast] = pruner.searched(whole) if has_searches(loaded) else {}
    alike = pruner.alike(whole)
    plan = pruner(whole)
    document = describe(
        loaded, plan, forecasts, alike, found=found, prices=table, reuse=reuse, parallel=parallel_deployments
    )
    click.echo(json.dumps(document, indent=2) if as_json else as_text(document, show_all=show_all))
    return 0 if plan.accepted else 1


def describe(
    config: SweepConfig,
    plan: Preflight,
    forecasts: Mapping[str, CellForecast],
    alike: Sequence[Twin],
    *,
    found: Mapping[str, CellForecast],
    prices: PriceTable | None,
    reuse: bool,
    parallel: int = 1,
) -> dict[str, Any]:
    """The whole plan as plain values; costs are None without a price for every cell, ``cost_at_least`` is of the rest.

    ``found`` are the forecasts at the loads that searches may come to.
    """
    from harness.sweep.deployers import run_id
    from harness.sweep.estimates import estimate_runs, interval, price_of, total
    from harness.sweep.forecasts import left_out, unforecast
    from harness.sweep.search_forecasts import at_answers, expected_answers

    answers = {cell_id: expected_answers(config, forecast) for cell_id, forecast in found.items()}
    if found and unforecast(config) is not None:  # the searches are all there is
        forecasts = {cell_id: at_answers(forecast, answers[cell_id]) for cell_id, forecast in found.items()}
    runs = estimate_runs(config, plan.accepted, price_of(prices), reuse=reuse, parallel=parallel)
    likely = total(runs)
    ends = {cell.id: interval(runs[run_id(cell, 0)]) for cell in plan.accepted}
    return {
        "schema_version": 1,
        "name": config.name,
        "cells": plan.cells,
        "runs": len(runs),
        "deployments": likely.deployments,
        "gpu_hours": likely.gpu_hours,
        "gpu_hours_interval": list(likely.gpu_hours_between),
        "cost": likely.cost,
        "cost_interval": None if likely.cost_between is None else list(likely.cost_between),
        "cost_at_least": likely.known_cost,
        "unpriced": unpriced(plan.accepted, prices),
        "currency": None if prices is None else prices.currency,
        "not_forecast": [level for level in left_out(config) if not (found and level.startswith("find "))],
        "accepted": [
            {
                "id": cell.id,
                "label": cell.label,
                "gpus": cell.gpus,
                "parameters": list(cell.parameters),
                "seconds": runs[run_id(cell, 0)].seconds,
                "gpu_hours": runs[run_id(cell, 0)].gpu_hours,
                "gpu_hours_interval": [end.gpu_hours for end in ends[cell.id]],
                "cost": runs[run_id(cell, 0)].cost,
                "cost_interval": priced([end.cost for end in ends[cell.id]]),
                "forecast": forecasts[cell.id].to_json(),
                "searches": [
                    {"find": one.find, "at_least": one.low, "below": one.high, "text": one.text}
                    for one in answers.get(cell.id, ())
                ],
            }
            for cell in plan.accepted
        ],
        "refused": [
            {
                "id": refusal.cell.id,
                "label": refusal.cell.label,
                "reason": placed(refusal),
                "hint": refusal.findings[0].hint,
            }
            for refusal in plan.refused
        ],
        "prune": None if plan.rule is None else plan.rule.text,
        "pruned": [
            {"id": pruned.cell.id, "label": pruned.cell.label, "reason": pruned.reason}
            for pruned in plan.pruned
        ],
        "equivalent": [
            {
                "id": twin.cell.id,
                "label": twin.cell.label,
                "of": twin.of.id,
                "of_label": twin.of.label,
                "reason": twin.reason,
            }
            for twin in alike
        ],
        "warnings": [
            *({"code": finding.code, "message": finding.message} for finding in plan.warnings),
            *short_windows(config, plan.accepted, forecasts),
        ],
    }


def placed(refusal: Refusal) -> str:
    """Why a cell is refused, with the place in the sweep file where that is not its list of parameters."""
    location = refusal.findings[0].location
    return refusal.reason if location is None else f"{location}: {refusal.reason}"


def unpriced(cells: Sequence[Cell], prices: PriceTable | None) -> list[str]:
    """GPU families with their numbers that a price file has no price of; none without one."""
    if prices is None:
        return []
    lacking = [cell for cell in cells if prices.per_replica_hour(cell.gpu_type, cell.gpu_count) is None]
    return list(dict.fromkeys(f"{cell.gpu_type}×{cell.gpu_count}" for cell in lacking))


def priced(costs: list[float | None]) -> list[float | None] | None:
    """The costs, or None when there are none."""
    return None if None in costs else costs
