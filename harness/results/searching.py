"""What searches found, in sentences and as a section: a cell counts with its worst repeat. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from harness.load.verdict import VOID
from harness.results.document import Section, Table, TableCell
from harness.results.frame import Run
from harness.units import counted, first_few

UNITS = {"rate": "req/s", "knee": "users"}


def search_answers(run: Run) -> Iterable[str]:
    """The highest rate that each search for one found, and the highest throughput at a knee."""
    for name, found in run.searches.groupby("search", sort=False):
        find = str(found["find"].iloc[0])
        cells = worst_repeats(run, found)
        best = cells[cells["worth"] == cells["worth"].max()] if find == "rate" else cells.head(1)
        if find != "rate" and not best["worth"].iloc[0]:
            continue  # void, or nothing came
        alike = run.searches[run.searches["find"] == find]["search"].nunique()
        searched = f" ({name})" if alike > 1 else ""
        what = "Highest rate found within the SLO" if find == "rate" else "Highest throughput at the knee"
        labels = [str(run.cells["label"][cell_id]) for cell_id in best["cell_id"]]
        which = f"{first_few(labels)}, of {counted(len(cells), 'cell')} searched"
        yield f"{what}{searched}: {which}: {best.iloc[0]['answer']}."


def worst_repeats(run: Run, found: pd.DataFrame) -> pd.DataFrame:
    """One row a cell, the best first: of its repeats the one with the lowest ``worth``, which is the rate, or the
    throughput at the knee; 0 for none, or a void one."""
    rates: dict[tuple[Any, ...], float] = {}
    if not run.points.empty:
        points = run.points[run.points["verdict"] != VOID]
        keys = zip(points["run_id"], points["point"], strict=True)
        rates = dict(zip(keys, points["output_throughput_tok_s"], strict=True))
    worth = [
        row["best"] if row["find"] == "rate" else rates.get((row["run_id"], row["point"]), 0.0)
        for row in found.to_dict("records")
    ]
    ordered = found.assign(worth=pd.Series(worth, found.index, dtype=float).fillna(0.0))
    worst = ordered.sort_values("worth", kind="stable").drop_duplicates("cell_id")
    places = {cell_id: place for place, cell_id in enumerate(run.cells.index)}
    worst = worst.assign(place=worst["cell_id"].map(places))
    return worst.sort_values(["worth", "resolved", "place"], ascending=[False, False, True])


def search_section(run: Run) -> Section:
    """What every search found, a row a cell, the best first; empty without one. Repeats one by one where there are."""
    if run.searches.empty:
        return Section("Searches")
    text = (
        "Each step of a search is a load level of its own. An answer is unresolved where the samples allow another "
        "one; 95 % intervals (Wilson) decide."
    )
    several = run.resolved.repeats > 1
    tables = [
        _found_table(run, found, several=several) for _, found in run.searches.groupby("search", sort=False)
    ]
    if several:
        heads = ("Cell", "Repeat", "Search", "Found", "Steps")
        rows = tuple(_repeat_row(run, row) for _, row in run.searches.iterrows())
        tables.append(Table("What each repeat found", heads, rows, folded=True))
    return Section("Searches", (text,), tables=tuple(tables))


def _found_table(run: Run, found: pd.DataFrame, *, several: bool) -> Table:
    """One search over its cells."""
    first = found.iloc[0]
    unit = UNITS.get(str(first["find"]), "")
    rows = []
    for _, worst in worst_repeats(run, found).iterrows():
        repeats = found[found["cell_id"] == worst["cell_id"]]
        best = ", ".join(
            dict.fromkeys("none" if pd.isna(best) else f"{best:.3g}" for best in repeats["best"])
        )
        resolved = f"{int(repeats['resolved'].sum())} of {len(repeats)}"
        rows.append(
            (
                TableCell(str(run.cells["label"][worst["cell_id"]])),
                TableCell(best, number=True),
                TableCell(resolved if several else "yes" if worst["resolved"] else "no", number=several),
                TableCell(str(worst["answer"])),
                TableCell(str(worst["steps"]), number=True),
            )
        )
    heads = ("Cell", f"Found ({unit})", "Resolved", "Of the worst repeat" if several else "In words", "Steps")
    return Table(f"{first['search']}: {counted(len(rows), 'cell')}, best first", heads, tuple(rows))


def _repeat_row(run: Run, row: pd.Series[Any]) -> tuple[TableCell, ...]:
    return (
        TableCell(str(run.cells["label"][row["cell_id"]])),
        TableCell(str(row["repeat"]), number=True),
        TableCell(str(row["search"])),
        TableCell(str(row["answer"])),
        TableCell(str(row["steps"]), number=True),
    )
