"""``harness plan``: expand, lint, forecast and price a sweep; creates nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.pruning import Pruner, prune_options, rule_of
from harness.units import format_duration

if TYPE_CHECKING:
    from harness.plan.config import SweepConfig
    from harness.results.prices import PriceTable
    from harness.sweep.equivalence import Twin
    from harness.sweep.forecasts import CellForecast
    from harness.sweep.preflight import Preflight

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
@click.option(
    "--reuse", is_flag=True, help="Count one deployment moved from cell to cell, as sweep --reuse would."
)
@prune_options
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
    show_all: bool,
    as_json: bool,
) -> int:
    """List the cells of CONFIG: which would run, which are refused or pruned and why, how long and how much it takes.

    Cells that would run the same as another are named in any case. Exit code 1 when no cell can run.

    \b
    harness plan configs/demo.yaml --prices configs/prices.yaml
    harness plan configs/demo.yaml --prune keep=20%,equivalent
    """
    from harness.plan.config import load_config
    from harness.results.store import load_prices
    from harness.sweep.equivalence import twins
    from harness.sweep.preflight import preflight

    loaded = load_config(config)
    table = None if prices is None else load_prices(prices)
    pruner = Pruner(loaded, rule_of(loaded, prune, no_prune=no_prune), table)
    whole = preflight(loaded, managed=not local)
    forecasts = pruner.forecast(whole)
    alike = twins(whole.accepted, forecasts, loaded.workload)
    plan = pruner(whole)
    document = describe(loaded, plan, forecasts, alike, prices=table, reuse=reuse)
    click.echo(json.dumps(document, indent=2) if as_json else as_text(document, show_all=show_all))
    return 0 if plan.accepted else 1


def describe(
    config: SweepConfig,
    plan: Preflight,
    forecasts: Mapping[str, CellForecast],
    alike: Sequence[Twin],
    *,
    prices: PriceTable | None,
    reuse: bool,
) -> dict[str, Any]:
    """The whole plan as plain values; costs are None without a price for every cell."""
    from harness.sweep.deployers import run_id
    from harness.sweep.estimates import estimate_runs, price_of, total

    price = price_of(prices)
    runs = estimate_runs(config, plan.accepted, price, reuse=reuse)
    likely, low, high = (
        total(estimate_runs(config, plan.accepted, price, reuse=reuse, ready_share=share))
        for share in (1, 0.5, 2)
    )
    return {
        "schema_version": 1,
        "name": config.name,
        "cells": plan.cells,
        "runs": len(runs),
        "deployments": likely.deployments,
        "gpu_hours": likely.gpu_hours,
        "gpu_hours_interval": [low.gpu_hours, high.gpu_hours],
        "cost": likely.cost,
        "cost_interval": None if likely.cost is None else [low.cost, high.cost],
        "currency": None if prices is None else prices.currency,
        "accepted": [
            {
                "id": cell.id,
                "label": cell.label,
                "gpus": cell.gpus,
                "parameters": list(cell.parameters),
                "seconds": runs[run_id(cell, 0)].seconds,
                "gpu_hours": runs[run_id(cell, 0)].gpu_hours,
                "cost": runs[run_id(cell, 0)].cost,
                "forecast": forecasts[cell.id].to_json(),
            }
            for cell in plan.accepted
        ],
        "refused": [
            {
                "id": refusal.cell.id,
                "label": refusal.cell.label,
                "reason": refusal.reason,
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
        "warnings": [{"code": finding.code, "message": finding.message} for finding in plan.warnings],
    }


def as_text(document: Mapping[str, Any], *, show_all: bool) -> str:
    """The plan as lines: cells that would run with what they should do, cells refused, the sum."""
    accepted, refused = document["accepted"], document["refused"]
    shown = accepted if show_all else accepted[:SHOWN_CELLS]
    width = max((len(cell["label"]) for cell in shown), default=0)
    lines = [f"  {cell['label']:<{width}}  {told(cell)}" for cell in shown]
    if len(shown) < len(accepted):
        lines.append(f"  ... and {len(accepted) - len(shown)} more (--all)")
    lines += [
        f"  refused {cell['label']}: {cell['reason']}{f'; {hint}' if (hint := cell['hint']) else ''}"
        for cell in refused
    ]
    lines += [f"  pruned {cell['label']}: {cell['reason']}" for cell in document["pruned"]]
    left = {cell["id"] for cell in document["pruned"]}
    lines += [
        f"  same as {twin['of_label']}: {twin['label']}, {twin['reason']} (--prune equivalent leaves it out)"
        for twin in document["equivalent"]
        if twin["id"] not in left
    ]
    lines += [f"  warning {finding['code']}: {finding['message']}" for finding in document["warnings"]]
    low, high = document["gpu_hours_interval"]
    cost = ""
    if document["cost"] is not None:
        cheap, dear = document["cost_interval"]
        cost = (
            f", {document['cost']:.2f} ({cheap:.2f} to {dear:.2f}) {document['currency']} by the price file"
        )
    pruned = f", {len(document['pruned'])} pruned" if document["pruned"] else ""
    lines.append(
        f"{document['name']}: {document['cells']} cells, {len(refused)} refused{pruned}, {document['runs']} runs on "
        f"{document['deployments']} deployments, {document['gpu_hours']:.2f} ({low:.2f} to {high:.2f}) GPU-hours{cost}"
    )
    lines.append("Forecasts and start-up times are estimates until the first cells are measured.")
    return "\n".join(lines)


def told(cell: Mapping[str, Any]) -> str:
    """One cell: what it takes, and its forecast at the last load level."""
    words = [
        f"{cell['gpus']} GPU",
        f"{format_duration(cell['seconds']):>7}",
        f"{cell['gpu_hours']:.2f} GPU-h",
    ]
    if cell["cost"] is not None:
        words.append(f"{cell['cost']:.2f}")
    levels = cell["forecast"].get("levels")
    if not levels:
        return "  ".join([*words, f"no forecast: {cell['forecast'].get('reason')}"])
    last, share = levels[-1], cell["forecast"]["interval"]
    words.append(
        f"forecast at {last['level']:g}: {last['output_throughput_tok_s']:.0f} tok/s, TTFT {last['ttft_ms']:.0f} ms, "
        f"TPOT {last['tpot_ms'] or 0:.1f} ms (±{share:.0%}, bound by {last['binding']}); fits max-model-len "
        f"{cell['forecast']['largest_max_model_len']}, max-num-seqs {cell['forecast']['largest_max_num_seqs']}"
    )
    return "  ".join(words)
