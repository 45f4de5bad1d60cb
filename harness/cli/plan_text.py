"""What ``harness plan`` says to people: a row a cell, what is left out and why, the sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.units import counted, first_few, format_duration

SHOWN_CELLS = 40
TAKEN = ("cell", "GPUs", "time", "GPU-h", "cost")
FORECAST = ("tok/s", "TTFT ms", "TPOT ms", "off by", "bound by", "longest", "most seqs")
HEADS = (*TAKEN, *FORECAST, "should find")
LEFT_ALIGNED = ("cell", "GPU-h", "cost", "bound by", "should find")


def as_text(document: Mapping[str, Any], *, show_all: bool) -> str:
    """The plan as lines: cells that would run with what they should do, cells left out, the sum."""
    accepted = document["accepted"]
    shown = accepted if show_all else accepted[:SHOWN_CELLS]
    lines = _table([_row(cell) for cell in shown])
    if len(shown) < len(accepted):
        lines.append(f"... and {len(accepted) - len(shown)} more (--all)")
    lines += [*_legend(shown), *_not_forecast(accepted), *_left_out(document)]
    lines += [f"warning {finding['code']}: {finding['message']}" for finding in document["warnings"]]
    if lines:
        lines.append("")
    return "\n".join([*lines, _sum(document), *_caveats(document)])


def _row(cell: Mapping[str, Any]) -> tuple[str, ...]:
    """One cell under ``HEADS``: what it takes, and its forecast at the last load level."""
    takes = (
        cell["label"],
        str(cell["gpus"]),
        format_duration(cell["seconds"]),
        _between(cell["gpu_hours"], cell["gpu_hours_interval"]),
        "" if cell["cost"] is None else _between(cell["cost"], cell["cost_interval"]),
    )
    forecast = cell["forecast"]
    found = ", ".join(search["text"] for search in cell["searches"])
    if not forecast.get("levels"):
        return (*takes, *[""] * len(FORECAST), found)
    last = forecast["levels"][-1]
    return (
        *takes,
        f"{last['output_throughput_tok_s']:.0f}",
        f"{last['ttft_ms']:.0f}",
        "" if last["tpot_ms"] is None else f"{last['tpot_ms']:.1f}",
        f"±{forecast['interval']:.0%}",
        last["binding"],
        str(forecast["largest_max_model_len"]),
        str(forecast["largest_max_num_seqs"]),
        found,
    )


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The rows under their heads, columns that no row fills left out."""
    if not rows:
        return []
    columns = [
        (head, [row[number] for row in rows])
        for number, head in enumerate(HEADS)
        if any(row[number] for row in rows)
    ]
    aligned = []
    for head, cells in columns:
        width = max(map(len, (head, *cells)))
        aligned.append(
            [f"{text:<{width}}" if head in LEFT_ALIGNED else f"{text:>{width}}" for text in (head, *cells)]
        )
    return ["  ".join(line).rstrip() for line in zip(*aligned, strict=True)]


def _legend(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the forecast's columns are, once; nothing where there is no forecast."""
    forecasts = [cell["forecast"] for cell in cells if cell["forecast"].get("levels")]
    if not forecasts:
        return []
    searched = any(cell["searches"] for cell in cells)
    at = dict.fromkeys(f"{forecast['levels'][-1]['level']:g}" for forecast in forecasts)
    whose = dict.fromkeys(
        (each["interval"], each["calibration"]) for each in forecasts if each["calibration"]
    )
    return [
        "",
        f"Forecast of the last load level ({', '.join(at)}), TTFT and TPOT on average; "
        "longest and most seqs: the largest max-model-len and max-num-seqs that fit.",
        *(["should find: between two steps of a search that doubles its load"] if searched else []),
        *[f"±{interval:.0%}: {calibration}" for interval, calibration in whose],
    ]


def _not_forecast(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why cells have no forecast, each reason once."""
    labels: dict[str, list[str]] = {}
    for cell in cells:
        if not cell["forecast"].get("levels"):
            labels.setdefault(cell["forecast"]["reason"], []).append(cell["label"])
    return [f"no forecast of {_which(without, len(cells))}: {reason}" for reason, without in labels.items()]


def _which(labels: Sequence[str], cells: int) -> str:
    if len(labels) == 1:
        return labels[0]
    return "any cell" if len(labels) == cells else f"{len(labels)} of {cells} cells"


def _left_out(document: Mapping[str, Any]) -> list[str]:
    """Cells that are refused or pruned, and those that run the same as another."""
    refused = [
        f"refused {cell['label']}: {'; '.join(filter(None, (cell['reason'], cell['hint'])))}"
        for cell in document["refused"]
    ]
    pruned = [f"pruned {cell['label']}: {cell['reason']}" for cell in document["pruned"]]
    left = {cell["id"] for cell in document["pruned"]}
    alike = [
        f"same as {twin['of_label']}: {twin['label']}, {twin['reason']} (--prune equivalent leaves it out)"
        for twin in document["equivalent"]
        if twin["id"] not in left
    ]
    return [*refused, *pruned, *alike]


def _sum(document: Mapping[str, Any]) -> str:
    parts = [counted(document["cells"], "cell"), f"{len(document['refused'])} refused"]
    if document["pruned"]:
        parts.append(f"{len(document['pruned'])} pruned")
    parts.append(f"{counted(document['runs'], 'run')} on {counted(document['deployments'], 'deployment')}")
    parts.append(f"{_between(document['gpu_hours'], document['gpu_hours_interval'])} GPU-hours")
    if document["cost"] is not None:
        cost = _between(document["cost"], document["cost_interval"])
        parts.append(f"{cost} {document['currency']} by the price file")
    elif document["unpriced"]:
        least = document["cost_at_least"]
        known = "no cost" if least is None else f"at least {least:.2f} {document['currency']}"
        parts.append(f"{known} by the price file, which has no price of {first_few(document['unpriced'])}")
    return f"{document['name']}: {', '.join(parts)}"


def _caveats(document: Mapping[str, Any]) -> list[str]:
    changing = document["not_forecast"]
    lines = [f"Not forecast, as their load changes: {', '.join(changing)}."] if changing else []
    return [*lines, "Forecasts and start-up times are estimates until the first cells are measured."]


def _between(likely: float, ends: Sequence[float]) -> str:
    """A figure with its interval."""
    low, high = ends
    return f"{likely:.2f} ({low:.2f} to {high:.2f})"
