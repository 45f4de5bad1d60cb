"""``harness plan``: expand, lint, forecast and price a sweep; creates nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.calibrating import calibration_option, read_calibrations
from harness.cli.pruning import Pruner, prune_options, rule_of, said
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
    from harness.sweep.preflight import preflight

    loaded = load_config(config)
    table = None if prices is None else price_table(prices)
    rule = rule_of(loaded, said(prune, no_prune=no_prune))
    pruner = Pruner(loaded, rule, table, read_calibrations(calibration))
    whole = preflight(loaded, managed=not local)
    forecasts = pruner.forecast(whole)
    alike = pruner.alike(whole)
    plan = pruner(whole)
    document = describe(
        loaded, plan, forecasts, alike, prices=table, reuse=reuse, parallel=parallel_deployments
    )
    click.echo(json.dumps(document, indent=2) if as_json else as_text(document, show_all=show_all))
    return 0 if plan.accepted else 1


def price_table(path: Path) -> PriceTable:
    """The price file; apart, for what reads it reads records too, and that takes a while to import."""
    from harness.results.store import load_prices

    return load_prices(path)


def describe(
    config: SweepConfig,
    plan: Preflight,
    forecasts: Mapping[str, CellForecast],
    alike: Sequence[Twin],
    *,
    prices: PriceTable | None,
    reuse: bool,
    parallel: int = 1,
) -> dict[str, Any]:
    """The whole plan as plain values; costs are None without a price for every cell."""
    from harness.sweep.deployers import run_id
    from harness.sweep.estimates import estimate_runs, interval, price_of, total
    from harness.sweep.forecasts import left_out

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
        "currency": None if prices is None else prices.currency,
        "not_forecast": left_out(config),
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


def priced(costs: list[float | None]) -> list[float | None] | None:
    """The costs, or None when there are none."""
    return None if None in costs else costs


def as_text(document: Mapping[str, Any], *, show_all: bool) -> str:
    """The plan as lines: cells that would run with what they should do, cells refused, the sum."""
    accepted, refused = document["accepted"], document["refused"]
    shown = accepted if show_all else accepted[:SHOWN_CELLS]
    width = max((len(cell["label"]) for cell in shown), default=0)
    reasons = shared_reasons(accepted)
    lines = [f"  {cell['label']:<{width}}  {told(cell, reasons)}" for cell in shown]
    if len(shown) < len(accepted):
        lines.append(f"  ... and {len(accepted) - len(shown)} more (--all)")
    lines += [f"  no forecast of {count} cells: {reason}" for reason, count in reasons.items()]
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
    if document["not_forecast"]:
        lines.append(f"Not forecast, as their load changes: {', '.join(document['not_forecast'])}.")
    lines.append("Forecasts and start-up times are estimates until the first cells are measured.")
    return "\n".join(lines)


def shared_reasons(cells: Sequence[Mapping[str, Any]]) -> dict[str | None, int]:
    """Why there is no forecast of several cells, and of how many."""
    reasons = Counter(cell["forecast"].get("reason") for cell in cells if not cell["forecast"].get("levels"))
    return {reason: count for reason, count in reasons.items() if count > 1}


def told(cell: Mapping[str, Any], reasons: Mapping[str | None, int]) -> str:
    """One cell: what it takes, and its forecast at the last load level, or why there is none unless ``reasons`` say."""
    words = [
        f"{cell['gpus']} GPU",
        f"{format_duration(cell['seconds']):>7}",
        between("{:.2f} GPU-h ({:.2f} to {:.2f})", cell["gpu_hours"], cell["gpu_hours_interval"]),
    ]
    if cell["cost"] is not None:
        words.append(between("{:.2f} ({:.2f} to {:.2f})", cell["cost"], cell["cost_interval"]))
    levels = cell["forecast"].get("levels")
    if not levels:
        reason = cell["forecast"].get("reason")
        return "  ".join(words if reason in reasons else [*words, f"no forecast: {reason}"])
    last, forecast = levels[-1], cell["forecast"]
    whose = f", {forecast['calibration']}" if forecast["calibration"] else ""
    words.append(
        f"forecast at {last['level']:g}: {last['output_throughput_tok_s']:.0f} tok/s, TTFT {last['ttft_ms']:.0f} ms, "
        f"TPOT {last['tpot_ms'] or 0:.1f} ms (±{forecast['interval']:.0%}{whose}, bound by {last['binding']}); "
        f"fits max-model-len {forecast['largest_max_model_len']}, max-num-seqs {forecast['largest_max_num_seqs']}"
    )
    return "  ".join(words)


def between(form: str, likely: float, ends: list[float]) -> str:
    """A figure with its interval."""
    return form.format(likely, *ends)
