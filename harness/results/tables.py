"""The report's tables: what became of every cell, every measured level, and what is to be doubted. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.load.summary import PERCENTILES, samples_for
from harness.load.verdict import VALID
from harness.results.document import Table, TableCell
from harness.results.frame import Run
from harness.units import counted, first_few

# A percentile is read off the tail: below this many requests it is printed, but greyed.
ENOUGH: Mapping[str, int] = {f"p{percentile:g}": samples_for(percentile) for percentile in PERCENTILES}
JUDGEMENTS = {"meets_slo": "Meets SLO", "verdict": "Verdict"}
_NUMBER = re.compile(r"\d[\d.,]*")

Column = tuple[str, str, float, int]  # head, column, factor, decimals
CELL_COLUMNS: tuple[Column, ...] = (
    ("Per 1M output tok", "cost_per_mtok", 1, 2),
    ("Output tok/s", "output_throughput_tok_s", 1, 0),
    ("per GPU", "output_throughput_tok_s_per_gpu", 1, 0),
    ("Req/s", "steady_request_throughput_req_s", 1, 2),
    ("TTFT p95 (ms)", "ttft_p95_s", 1000, 0),
    ("TPOT p95 (ms)", "tpot_p95_s", 1000, 1),
)
LEVEL_COLUMNS: tuple[Column, ...] = (
    ("Requests", "requests_sent", 1, 0),
    ("Failed", "requests_failed", 1, 0),
    ("Output tok/s", "output_throughput_tok_s", 1, 0),
    ("Req/s", "steady_request_throughput_req_s", 1, 2),
    ("TTFT p50 (ms)", "ttft_p50_s", 1000, 0),
    ("TTFT p95 (ms)", "ttft_p95_s", 1000, 0),
    ("TTFT p99 (ms)", "ttft_p99_s", 1000, 0),
    ("TPOT p50 (ms)", "tpot_p50_s", 1000, 1),
    ("TPOT p95 (ms)", "tpot_p95_s", 1000, 1),
    ("ITL p99 (ms)", "itl_p99_s", 1000, 1),
    ("E2E p95 (ms)", "e2e_p95_s", 1000, 0),
    ("Goodput (req/s)", "steady_goodput_req_s", 1, 2),
    ("Per 1M output tok", "cost_per_mtok", 1, 2),
)


def outcome_tables(run: Run, levels: pd.DataFrame) -> tuple[Table, ...]:
    """Every planned cell: the measured ones by the objective, at their best level; then the others, with why."""
    best = (
        {}
        if levels.empty
        else {str(row["cell_id"]): row for _, row in levels.drop_duplicates("cell_id").iterrows()}
    )
    others = [str(cell_id) for cell_id in run.cells.index if cell_id not in best]
    tables = [_measured_table(run, levels, best)] if best else []
    return (*tables, *([_unmeasured_table(run, others)] if others else []))


def _measured_table(run: Run, levels: pd.DataFrame, best: Mapping[str, pd.Series[Any]]) -> Table:
    """One row a cell at its best level. States and reasons are told where some repeat was not measured."""
    columns = _present(CELL_COLUMNS, levels)
    judged = [name for name in ("meets_slo", "verdict") if name in levels]
    partly = any(_why(run, cell_id) or run.cells["state"][cell_id] != "measured" for cell_id in best)
    rows = []
    for cell_id, level in best.items():
        ready = run.cells["time_to_ready_s"][cell_id]
        row = [TableCell(str(run.cells["label"][cell_id])), TableCell(str(level["load"]))]
        row += [_figure(level, column) for column in columns]
        row += [TableCell(_judgement(level, name)) for name in judged]
        row.append(TableCell("" if pd.isna(ready) else f"{ready:.0f}", number=True))
        row += [TableCell(_state(run, cell_id)), TableCell(_why(run, cell_id))] if partly else []
        rows.append(tuple(row))
    heads = ("Cell", "Best at", *(column[0] for column in columns), *(JUDGEMENTS[name] for name in judged))
    tally = ", ".join(f"{count} {state}" for state, count in run.account.counts().items())
    caption = f"{len(rows)} of {len(run.cells)} cells measured, best first; runs: {tally or 'none'}"
    return Table(caption, (*heads, "Ready (s)", *(("State", "Why") if partly else ())), tuple(rows))


def _unmeasured_table(run: Run, cells: list[str]) -> Table:
    """The cells without a measured level, and why."""
    rows = tuple(
        (
            TableCell(str(run.cells["label"][cell_id])),
            TableCell(_state(run, cell_id)),
            TableCell(_why(run, cell_id)),
        )
        for cell_id in cells
    )
    return Table(f"{len(rows)} of {len(run.cells)} cells not measured", ("Cell", "State", "Why"), rows)


def _state(run: Run, cell_id: str) -> str:
    """What its runs came to, counted where they came to several things."""
    counts = run.runs[run.runs["cell_id"] == cell_id]["state"].value_counts()
    return ", ".join(f"{count} {state}" if len(counts) > 1 else str(state) for state, count in counts.items())


def _why(run: Run, cell_id: str) -> str:
    """The reason of a cell's first run that has one, and where its engine's log is."""
    reasons = [each for each in run.account.runs if each.cell_id == cell_id and each.reason]
    if not reasons:
        return ""
    first = reasons[0]
    return f"{first.reason} (log: {first.log_file})" if first.log_file else str(first.reason)


def _judgement(level: pd.Series[Any], name: str) -> str:
    return str(level[name]) if name == "verdict" else ("yes" if level[name] else "no")


def identity_table(run: Run) -> Table:
    """What each cell is: model, parameters and id."""
    rows = tuple(
        (
            TableCell(str(cell["label"])),
            TableCell(str(cell["model"])),
            TableCell(str(cell["parameters"]) or "–"),
            TableCell(str(cell_id)),
        )
        for cell_id, cell in run.cells.iterrows()
    )
    return Table("What each cell is", ("Cell", "Model", "Parameters", "Id"), rows, folded=True)


def levels_table(levels: pd.DataFrame) -> Table:
    """Every measured load level, best first; figures that rest on too few requests are faint."""
    columns = _present(LEVEL_COLUMNS, levels)
    judged = [name for name in ("meets_slo", "verdict") if name in levels]
    # The same load twice, as when a search comes to a level that was asked for: then how it was measured is said.
    once = ~levels.duplicated(["cell_id", "load"], keep=False)
    names = levels["load"].where(once, levels["level"])
    rows = tuple(
        (
            TableCell(str(level["label"])),
            TableCell(str(name)),
            *(_figure(level, column) for column in columns),
            *(TableCell(_judgement(level, name)) for name in judged),
        )
        for name, (_, level) in zip(names, levels.iterrows(), strict=True)
    )
    heads = ("Cell", "Load", *(column[0] for column in columns))
    heads += tuple(JUDGEMENTS[name] for name in judged)
    return Table(f"All measured load levels ({len(rows)}), best first", heads, rows, folded=True)


def _present(columns: tuple[Column, ...], levels: pd.DataFrame) -> list[Column]:
    return [column for column in columns if column[1] in levels and levels[column[1]].notna().any()]


def _figure(level: pd.Series[Any] | None, column: Column) -> TableCell:
    _, name, factor, decimals = column
    if level is None:
        return TableCell("", number=True)
    if pd.isna(level[name]):
        return TableCell("–", number=True)
    parts = name.split("_")
    enough = ENOUGH.get(parts[1], 0) if len(parts) > 1 else 0
    count = level.get(f"{parts[0]}_count")
    faint = enough > 0 and count is not None and count < enough
    return TableCell(f"{level[name] * factor:,.{decimals}f}", faint=bool(faint), number=True)


def doubt_tables(levels: pd.DataFrame) -> tuple[Table, ...]:
    """The reasons to doubt levels, each with how many it is about; then every doubted level with its own."""
    doubted = levels[levels["verdict"] != VALID] if "verdict" in levels else levels.head(0)
    if doubted.empty:
        return ()
    found: dict[tuple[str, str], dict[tuple[Any, ...], str]] = {}
    for _, level in doubted.iterrows():
        for reason in str(level["reasons"]).split("; "):
            kind = _NUMBER.sub("…", reason.partition(":")[0]).strip()
            levels_of_kind = found.setdefault((str(level["verdict"]), kind), {})
            levels_of_kind[level["cell_id"], level["level"]] = f"{level['label']} · {level['load']}"
    by_reason = tuple(
        (
            TableCell(kind),
            TableCell(verdict),
            TableCell(str(len(names)), number=True),
            TableCell(first_few(list(names.values()))),
        )
        for (verdict, kind), names in sorted(found.items(), key=lambda item: -len(item[1]))
    )
    each = tuple(
        tuple(TableCell(str(level[name])) for name in ("label", "load", "verdict", "reasons"))
        for _, level in doubted.iterrows()
    )
    return (
        Table(
            f"To be doubted: {len(doubted)} of {counted(len(levels), 'level')}",
            ("Why", "Verdict", "Levels", "Which"),
            by_reason,
        ),
        Table("Each doubted level", ("Cell", "Load", "Verdict", "Why"), each, folded=True),
    )
