"""An answer as a frame, and as a notebook shows it. Pure."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from harness.capacity.fleet import Answer, Option

COLUMNS = (
    "label", "gpu_type", "gpu_count", "replicas", "gpus", "price_per_h", "price_per_month", "cost_per_mtok",
    "mean_rate_req_s", "per_replica_req_s", "used", "binding", "source", "load", "run_ids", "measured_req_s",
)  # fmt: skip
WORDS = {
    "simulated": "SIMULATED: from a model of the hardware, not from hardware",
    "forecast": "FORECAST: a quarter either way is usual",
}


def frame(answer: Answer) -> pd.DataFrame:
    """A row an option, best first, with the columns of COLUMNS."""
    return pd.DataFrame([_row(option) for option in answer.options], columns=list(COLUMNS))


def _row(option: Option) -> tuple[object, ...]:
    point, support = option.point, option.support
    runs = point.run_ids if support is None else support.run_ids
    return (
        point.label, point.gpu_type, point.gpu_count, option.replicas, option.gpus, option.price_per_h,
        option.price_per_month, option.cost_per_mtok, option.mean_rate_req_s, option.per_replica_req_s, option.used,
        option.binding, point.source, point.load, ", ".join(runs),
        None if support is None else support.rate_req_s / support.replicas,
    )  # fmt: skip


def as_html(answer: Answer) -> str:
    """The best option in a sentence, what kind of figures these are, the options, and the cells that are none."""
    best = answer.best
    if best is None:
        title = "Nothing known serves this"
    else:
        title = f"{best.replicas} × {best.point.label}"
    sources = dict.fromkeys(option.point.source for option in answer.options)
    notes = [WORDS[source] for source in sources if source in WORDS]
    lines = [f"<h3>{html.escape(title)}</h3>", *(f"<p>{html.escape(note)}</p>" for note in notes)]
    lines.append(frame(answer).dropna(axis="columns", how="all").to_html(index=False))
    if answer.excluded:
        items = (
            f"<li>{html.escape(cell.label)}: {html.escape(cell.reason)}</li>" for cell in answer.excluded
        )
        lines.append(f"<p>No option:</p><ul>{''.join(items)}</ul>")
    return "".join(lines)
