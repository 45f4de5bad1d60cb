"""``harness plan``: expand, lint, forecast and price a sweep; creates nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from harness.units import format_duration

SHOWN_CELLS = 40


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
@click.option("--all", "show_all", is_flag=True, help=f"List every cell, not the first {SHOWN_CELLS}.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(config: str, *, prices: Path | None, local: bool, show_all: bool, as_json: bool) -> int:
    """List the cells of CONFIG: which would run, which are refused and why, how long and how much it takes.

    Exit code 1 when no cell can run.

    \b
    harness plan configs/demo.yaml --prices configs/prices.yaml
    """
    from harness.plan.config import load_config
    from harness.results.store import load_prices
    from harness.sweep.deployers import run_id
    from harness.sweep.estimates import estimate_runs, price_of
    from harness.sweep.preflight import preflight

    loaded = load_config(config)
    plan = preflight(loaded, managed=not local)
    table = None if prices is None else load_prices(prices)
    estimates = estimate_runs(loaded, plan.accepted, price_of(table))
    hours = sum(estimate.gpu_hours for estimate in estimates.values())
    costs = [estimate.cost for estimate in estimates.values()]
    cost = None if None in costs or not costs else sum(filter(None, costs))
    document: dict[str, Any] = {
        "schema_version": 1,
        "name": loaded.name,
        "cells": plan.cells,
        "runs": len(estimates),
        "gpu_hours": hours,
        "cost": cost,
        "currency": None if table is None else table.currency,
        "accepted": [
            {
                "id": cell.id,
                "label": cell.label,
                "gpus": cell.gpus,
                "parameters": list(cell.parameters),
                "seconds": estimates[run_id(cell, 0)].seconds,
                "gpu_hours": estimates[run_id(cell, 0)].gpu_hours,
                "cost": estimates[run_id(cell, 0)].cost,
            }
            for cell in plan.accepted
        ],
        "refused": [
            {"id": refusal.cell.id, "label": refusal.cell.label, "reason": refusal.reason}
            for refusal in plan.refused
        ],
        "warnings": [{"code": finding.code, "message": finding.message} for finding in plan.warnings],
    }
    click.echo(json.dumps(document, indent=2) if as_json else as_text(document, show_all=show_all))
    return 0 if plan.accepted else 1


def as_text(document: Mapping[str, Any], *, show_all: bool) -> str:
    """The plan as lines: cells that would run, cells refused, the sum."""
    accepted, refused = document["accepted"], document["refused"]
    shown = accepted if show_all else accepted[:SHOWN_CELLS]
    width = max((len(cell["label"]) for cell in shown), default=0)
    lines = [
        f"  {cell['label']:<{width}}  {cell['gpus']} GPU  {format_duration(cell['seconds']):>8}  "
        f"{cell['gpu_hours']:.2f} GPU-h" + ("" if cell["cost"] is None else f"  {cell['cost']:.2f}")
        for cell in shown
    ]
    if len(shown) < len(accepted):
        lines.append(f"  ... and {len(accepted) - len(shown)} more (--all)")
    lines += [f"  refused {cell['label']}: {cell['reason']}" for cell in refused]
    lines += [f"  warning {finding['code']}: {finding['message']}" for finding in document["warnings"]]
    cost = (
        ""
        if document["cost"] is None
        else f", {document['cost']:.2f} {document['currency']} by the price file"
    )
    lines.append(
        f"{document['name']}: {document['cells']} cells, {len(refused)} refused, {document['runs']} runs, "
        f"{document['gpu_hours']:.2f} GPU-hours{cost} (estimated: start-up times are guesses until measured)"
    )
    return "\n".join(lines)
