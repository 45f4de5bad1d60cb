"""A report before it is Markdown or HTML: its statements, its tables of every cell and every level. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.results.canvas import Plot
from harness.results.frame import Run
from harness.results.statements import DEFINITIONS, answers, provenance, warnings

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


def build(
    run: Run, *, levels: pd.DataFrame, plots: Sequence[Plot], sections: Sequence[Section] = ()
) -> Document:
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
        sections=tuple(sections),
    )


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
