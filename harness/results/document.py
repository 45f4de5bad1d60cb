"""What a report says, before it is Markdown or HTML: the answer, the provenance, every cell, every level. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.load.verdict import SUSPECT, VOID
from harness.results.canvas import Plot
from harness.results.frame import Run
from harness.units import format_duration

# A percentile is read off the tail: below this many requests it is printed, but greyed.
ENOUGH: Mapping[str, int] = {"p50": 20, "p90": 100, "p95": 200, "p99": 1000}


@dataclass(frozen=True, slots=True)
class TableCell:
    """One field of a table; ``faint`` for a figure that rests on too few requests."""

    text: str
    faint: bool = False
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A caption, column heads and rows; the first column names the row."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[TableCell, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report that only some runs have."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. ``answers`` come first; ``warnings`` are what a reader must know before believing them."""

    title: str
    simulated: bool
    question: str | None
    answers: tuple[str, ...]
    warnings: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    cells: Table
    levels: Table
    verdicts: Table | None
    plots: tuple[Plot, ...] = ()
    definitions: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()


def build(run: Run, *, levels: pd.DataFrame, plots: Sequence[Plot]) -> Document:
    """The report of a run; ``levels`` are its levels, sorted by the objective, best first."""
    return Document(
        title=run.title,
        simulated=run.resolved.simulated,
        question=run.resolved.question,
        answers=tuple(answers(run, levels)),
        warnings=tuple(warnings(run, levels)),
        provenance=tuple(provenance(run)),
        cells=cells_table(run),
        levels=levels_table(levels),
        verdicts=verdict_table(levels),
        plots=tuple(plots),
        definitions=DEFINITIONS,
    )


def answers(run: Run, levels: pd.DataFrame) -> Iterable[str]:
    """The best cell by throughput and, where an SLO and prices are known, within the SLO and by cost."""
    believed = levels[levels["verdict"] != VOID] if "verdict" in levels else levels
    if levels.empty:
        yield "No answer: nothing was measured."
        return
    if believed.empty:
        yield "No answer: every measured point is void."
        return
    yield f"Highest output throughput: {_named(_top(believed, 'output_throughput_tok_s'))}."
    if "meets_slo" not in believed:
        return
    within = believed[believed["meets_slo"].astype(bool)]
    if within.empty:
        yield f"No measured point meets the SLO ({run.resolved.slo})."
        return
    yield f"Most requests within the SLO ({run.resolved.slo}): {_named(_top(within, 'request_throughput_req_s'))}."
    priced = within.dropna(subset=["cost_per_mtok"]) if "cost_per_mtok" in within else within.head(0)
    if not priced.empty and run.resolved.prices is not None:
        best = priced.iloc[int(priced["cost_per_mtok"].argmin())]
        prices = run.resolved.prices
        yield (
            f"Cheapest within the SLO: {best['label']} at {best['load']}, {best['cost_per_mtok']:.2f} "
            f"{prices.currency} per 1M output tokens (prices: {prices.what}, {prices.as_of})."
        )


def _top(frame: pd.DataFrame, column: str) -> pd.Series[Any]:
    return frame.iloc[int(frame[column].fillna(-np.inf).argmax())]


def _named(row: pd.Series[Any]) -> str:
    latencies = [
        f"{name.upper()} p95 {row[f'{name}_p95_s'] * 1000:.0f} ms"
        for name in ("ttft", "tpot")
        if np.isfinite(row.get(f"{name}_p95_s", np.nan))
    ]
    note = f" ({', '.join(latencies)})" if latencies else ""
    if row["verdict"] == SUSPECT:
        note += f"; suspect: {row['reasons']}"
    return (
        f"{row['label']} at {row['load']}: {row['output_throughput_tok_s']:,.0f} tokens/s, "
        f"{row['request_throughput_req_s']:.2f} requests/s{note}"
    )


def warnings(run: Run, levels: pd.DataFrame) -> Iterable[str]:
    """What limits the answers: simulation, an unfinished sweep, deployments not proven gone, void points."""
    account = run.account
    if run.resolved.simulated:
        yield "SIMULATED: these figures come from a model of the hardware, not from hardware."
    if not account.finished:
        reason = f"interrupted by {account.interrupted_by}" if account.interrupted_by else "not finished"
        yield f"The sweep is partial ({reason}); what it measured before that is below."
    left = [entry.run_id for entry in account.runs if entry.deleted is False]
    if left:
        yield f"Not proven deleted, may still cost money: {', '.join(left)}. Run `harness cleanup`."
    if "verdict" in levels and (void := int((levels["verdict"] == "void").sum())):
        yield f"{void} of {len(levels)} measured levels are void and rank nowhere; the reasons are below."
    if "interrupted" in levels and (cut := int(levels["interrupted"].sum())):
        yield f"{cut} of {len(levels)} measured levels were cut short."


def provenance(run: Run) -> Iterable[tuple[str, str]]:
    """Where everything came from, as name and value."""
    resolved, account = run.resolved, run.account
    yield "Sweep", resolved.name
    yield "Started", resolved.started_at
    if account.started_unix is not None and account.ended_unix is not None:
        yield "Took", format_duration(account.ended_unix - account.started_unix)
    yield "Deployed by", resolved.deployer + (" (SIMULATED)" if resolved.simulated else "")
    if resolved.zone:
        yield "Zone", resolved.zone
    yield "Engine versions", ", ".join(dict.fromkeys(cell.engine_version for cell in resolved.cells))
    yield "Models", ", ".join(dict.fromkeys(cell.model for cell in resolved.cells))
    yield "Workload", ", ".join(f"{key} {_plain(value)}" for key, value in resolved.workload.items())
    yield (
        "Load levels",
        "; ".join(", ".join(f"{k} {_plain(v)}" for k, v in level.items()) for level in resolved.load),
    )
    yield "Repeats", str(resolved.repeats)
    yield "Seed", str(resolved.seed)
    if resolved.slo:
        yield "SLO", resolved.slo
    yield "Configuration", f"config.yaml, SHA-256 {resolved.config_sha256 or 'unknown'}"
    yield "Requests", _request_count(run.points)
    if resolved.prices is not None:
        yield "Prices", f"{resolved.prices.what}, {resolved.prices.currency}, {resolved.prices.as_of}"
    yield "Tool", f"harness {resolved.tool_version}"


def _request_count(points: pd.DataFrame) -> str:
    if points.empty:
        return "none"
    sent, failed, unfinished = (
        int(points[f"requests_{name}"].sum()) for name in ("sent", "failed", "unfinished")
    )
    return f"{sent:,} sent, {failed:,} failed, {unfinished:,} unfinished at a window's end"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={item}" for key, item in value.items() if item is not None)
    return str(value)


def cells_table(run: Run) -> Table:
    """Every planned cell with what became of it; none is left out."""
    rows = []
    for cell_id, cell in run.cells.iterrows():
        ready = cell["time_to_ready_s"]
        counts = run.runs[run.runs["cell_id"] == cell_id]["state"].value_counts()
        told = [f"{count} {state}" for state, count in counts.items()] if run.resolved.repeats > 1 else []
        rows.append(
            (
                TableCell(str(cell["label"])),
                TableCell(", ".join(told) or str(cell["state"])),
                TableCell("" if pd.isna(cell["reason"]) else str(cell["reason"])),
                TableCell("" if pd.isna(ready) else f"{ready:.0f}", number=True),
                TableCell(str(cell["parameters"]) or "–"),
                TableCell(str(cell_id)),
            )
        )
    tally = ", ".join(f"{count} {state}" for state, count in run.account.counts().items())
    return Table(
        caption=f"All {len(rows)} cells; runs: {tally or 'none'}",
        heads=("Cell", "State", "Why", "Ready (s)", "Parameters", "Id"),
        rows=tuple(rows),
    )


LEVEL_COLUMNS: tuple[tuple[str, str, float, int], ...] = (  # head, column, factor, decimals
    ("Requests", "requests_sent", 1, 0),
    ("Failed", "requests_failed", 1, 0),
    ("Output tok/s", "output_throughput_tok_s", 1, 0),
    ("Req/s", "request_throughput_req_s", 1, 2),
    ("TTFT p50 (ms)", "ttft_p50_s", 1000, 0),
    ("TTFT p95 (ms)", "ttft_p95_s", 1000, 0),
    ("TTFT p99 (ms)", "ttft_p99_s", 1000, 0),
    ("TPOT p50 (ms)", "tpot_p50_s", 1000, 1),
    ("TPOT p95 (ms)", "tpot_p95_s", 1000, 1),
    ("ITL p99 (ms)", "itl_p99_s", 1000, 1),
    ("E2E p95 (ms)", "e2e_p95_s", 1000, 0),
    ("Goodput (req/s)", "goodput_req_s", 1, 2),
    ("Per 1M output tok", "cost_per_mtok", 1, 2),
)


def levels_table(levels: pd.DataFrame) -> Table:
    """Every measured load level, best first; figures that rest on too few requests are faint."""
    present = [column for column in LEVEL_COLUMNS if column[1] in levels and levels[column[1]].notna().any()]
    rows = []
    for _, level in levels.iterrows():
        row = [TableCell(str(level["label"])), TableCell(str(level["load"]))]
        row += [_figure(level, name, factor, decimals) for _, name, factor, decimals in present]
        if "meets_slo" in levels:
            row.append(TableCell("yes" if level["meets_slo"] else "no"))
        if "verdict" in levels:
            row.append(TableCell(str(level["verdict"])))
        rows.append(tuple(row))
    heads = ["Cell", "Load", *(head for head, *_ in present)]
    heads += ["Meets SLO"] if "meets_slo" in levels else []
    heads += ["Verdict"] if "verdict" in levels else []
    return Table(f"All {len(rows)} measured load levels, best first", tuple(heads), tuple(rows))


def _figure(level: pd.Series[Any], name: str, factor: float, decimals: int) -> TableCell:
    value = level[name]
    if pd.isna(value):
        return TableCell("–", number=True)
    parts = name.split("_")
    enough = ENOUGH.get(parts[1], 0) if len(parts) > 1 else 0
    count = level.get(f"{parts[0]}_count")
    faint = enough > 0 and count is not None and count < enough
    return TableCell(f"{value * factor:,.{decimals}f}", faint=bool(faint), number=True)


def verdict_table(levels: pd.DataFrame) -> Table | None:
    """The levels that are not plainly valid, with the reasons; None when all are."""
    if "verdict" not in levels:
        return None
    doubted = levels[levels["verdict"] != "valid"]
    rows = tuple(
        (
            TableCell(str(level["label"])),
            TableCell(str(level["load"])),
            TableCell(str(level["verdict"])),
            TableCell(str(level["reasons"])),
        )
        for _, level in doubted.iterrows()
    )
    return Table("Levels to be doubted", ("Cell", "Load", "Verdict", "Why"), rows) if rows else None


DEFINITIONS: tuple[tuple[str, str], ...] = (
    ("TTFT", "first token's arrival minus the sending of the request's last byte; connecting is not in it"),
    (
        "TPOT",
        "(last token − first token) / (completion tokens − tokens in the first chunk), one figure a request",
    ),
    ("ITL", "gaps between chunks that carry tokens, pooled over requests"),
    ("E2E", "last token's arrival minus the sending of the request's last byte"),
    ("Output throughput", "output tokens that arrived within the window, divided by its length"),
    ("Request throughput", "requests that finished well within the window, divided by its length"),
    ("Percentiles", "linear interpolation over successful requests; failures count in no latency"),
    (
        "Faint figures",
        "a percentile p of fewer than 10/(1 − p) requests: p95 of under 200, p99 of under 1000",
    ),
    ("Pareto front", "levels that no other level beats on both axes; void levels are never on it"),
)
