"""The reports of a run folder, rebuilt from its records, journal and resolved.json alone. I/O through files.

``report.md``, ``report.html`` (one file, no network, no script), ``points.csv``, ``cells.csv``, ``summary.json``
and ``plots/``. Each is whole or not there.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from harness.results.document import Document, Section, Table, build
from harness.results.export import vllm_bench
from harness.results.factors import Effect, main_effects
from harness.results.files import plain_json, write_bytes, write_json, write_text
from harness.results.frame import Run
from harness.results.gallery import best_points, draw
from harness.results.sections import (
    FIGURES,
    definitions_section,
    factor_section,
    failure_section,
    reproduction_section,
    search_section,
    skipped_section,
)
from harness.results.store import RunFolder

SUMMARY_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Reports:
    """Every report of a run as text, nothing written yet."""

    document: Document
    markdown: str
    html: str
    points_csv: str
    cells_csv: str
    summary: Mapping[str, Any]


def build_reports(folder: RunFolder) -> Reports:
    """The reports of the run; ConfigError when the folder cannot be read."""
    run = Run(folder)
    levels = ranked_levels(run)
    effects = {} if levels.empty else {name: main_effects(run.levels, name) for name in FIGURES}
    plots = draw(run, levels, effects=effects.get("output_throughput_tok_s", []))
    sections = make_sections(run, levels, [effect for found in effects.values() for effect in found])
    document = build(run, levels=levels, plots=plots, sections=sections)
    return Reports(
        document=document,
        markdown=markdown(document, plots_prefix=f"plots/{_prefix(document)}"),
        html=as_html(document),
        points_csv=run.points.to_csv(index=False),
        cells_csv=run.cells.to_csv(),
        summary=summary(run, levels, document),
    )


def write_reports(folder: RunFolder | Path) -> list[Path]:
    """Write every report of the run; the paths written. A partial run is reported as far as it went."""
    opened = folder if isinstance(folder, RunFolder) else RunFolder.open(folder)
    reports, root = build_reports(opened), opened.path
    for plot in reports.document.plots:
        write_bytes(opened.plots / f"{_prefix(reports.document)}{plot.name}.png", plot.png)
    write_text(root / "points.csv", reports.points_csv)
    write_text(root / "cells.csv", reports.cells_csv)
    write_json(root / "summary.json", reports.summary)
    write_text(root / "report.md", reports.markdown)
    write_text(root / "report.html", reports.html)
    names = ("report.html", "report.md", "summary.json", "points.csv", "cells.csv")
    drawn = [opened.plots / f"{_prefix(reports.document)}{plot.name}.png" for plot in reports.document.plots]
    return [root / name for name in names] + drawn


def write_vllm_results(folder: RunFolder, target: Path) -> list[Path]:
    """A folder a cell below ``target``, each with the summary.json that ``vllm bench sweep`` plots; the paths."""
    run = Run(folder)
    found: dict[str, list[dict[str, Any]]] = {}
    rows = {(row["run_id"], row["point"]): row for row in run.points.to_dict("records")}
    for point in run.stored_points():
        row = {str(k): v for k, v in rows[point.meta.run_id, point.meta.point].items()}
        found.setdefault(point.meta.cell_id, []).append(vllm_bench(point, row))
    paths = [target / cell_id / "summary.json" for cell_id in found]
    for path, results in zip(paths, found.values(), strict=True):
        write_text(path, plain_json(results, indent=2) + "\n")
    return paths


def _prefix(document: Document) -> str:
    return "simulated-" if document.simulated else ""


def ranked_levels(run: Run) -> pd.DataFrame:
    """The levels, best first: void last, within the SLO first, then by cost where known, else by throughput."""
    levels = run.levels
    if levels.empty:
        return levels
    if run.resolved.prices is not None:
        levels = run.cost(run.resolved.prices)
    keys = pd.DataFrame(index=levels.index)
    keys["void"] = levels["verdict"] == "void" if "verdict" in levels else False
    keys["outside"] = ~levels["meets_slo"].astype(bool) if "meets_slo" in levels else False
    keys["cost"] = levels["cost_per_mtok"].fillna(np.inf) if "cost_per_mtok" in levels else 0.0
    keys["slow"] = -levels["output_throughput_tok_s"]
    return levels.loc[keys.sort_values(["void", "outside", "cost", "slow"]).index].reset_index(drop=True)


def make_sections(run: Run, levels: pd.DataFrame, effects: Sequence[Effect]) -> list[Section]:
    """The sections on searches, levels passed over, failures, factors, other tools' definitions and reproduction.

    None where nothing was measured.
    """
    if levels.empty:
        return []
    best = best_points(run, levels.head(1))[0]
    found = [
        search_section(run.searches, run.cells["label"]),
        skipped_section(run.skipped_levels, run.cells["label"]),
        failure_section(levels),
        factor_section(effects),
        definitions_section(*best),
        reproduction_section(run.resolved),
    ]
    return [section for section in found if section is not None]


def summary(run: Run, levels: pd.DataFrame, document: Document) -> dict[str, Any]:
    """What a script wants to know of the run (``results/README.md``); absent figures are null."""
    cells = [{"cell_id": str(cell_id), **_plain(row)} for cell_id, row in run.cells.iterrows()]
    return {
        "schema_version": SUMMARY_SCHEMA_VERSION,
        "name": run.resolved.name,
        "simulated": run.resolved.simulated,
        "question": run.resolved.question,
        "answers": list(document.answers),
        "warnings": list(document.warnings),
        "finished": run.account.finished,
        "counts": run.account.counts(),
        "config_sha256": run.resolved.config_sha256,
        "cells": cells,
        "levels": [_plain(row) for _, row in levels.iterrows()],
        "searches": [_plain(row) for _, row in run.searches.iterrows()],
        "skipped_levels": [_plain(row) for _, row in run.skipped_levels.iterrows()],
    }


def _plain(row: pd.Series[Any]) -> dict[str, Any]:
    return {str(name): _scalar(value) for name, value in row.items()}


def _scalar(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return None if value is pd.NA else value


def as_html(document: Document) -> str:
    """The report as one HTML page: plots inside, nothing fetched, no script."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.results", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["b64"] = lambda data: base64.b64encode(data).decode()
    return environment.get_template("report.html.j2").render(document=document)


def markdown(document: Document, *, plots_prefix: str) -> str:
    """The report as Markdown that reads well in a pull request; plots by relative path."""
    lines = [f"# {_md(document.title)}", ""]
    if document.question:
        lines += [f"_{_md(document.question)}_", ""]
    lines += [f"* **{_md(line)}**" for line in document.answers]
    lines += ["", *(f"> {_md(line)}  " for line in document.warnings), ""]
    lines += [
        "## Cells",
        "",
        *_md_table(document.cells),
        "",
        "## Load levels",
        "",
        *_md_table(document.levels),
        "",
    ]
    if document.verdicts is not None:
        lines += ["## Doubts", "", *_md_table(document.verdicts), ""]
    for section in document.sections:
        lines += [f"## {section.title}", "", *(f"{_md(text)}\n" for text in section.text)]
        for table in section.tables:
            lines += [*_md_table(table), ""]
    if document.plots:
        lines += ["## Plots", ""]
        for plot in document.plots:
            lines += [f"![{_md(plot.title)}. {_md(plot.description)}]({plots_prefix}{plot.name}.png)", ""]
    lines += ["## Provenance", "", *(f"* {name}: {_md(value)}" for name, value in document.provenance), ""]
    lines += ["## Definitions", "", *(f"* **{name}**: {value}" for name, value in document.definitions), ""]
    return "\n".join(lines)


def _md_table(table: Table) -> list[str]:
    numeric: Mapping[int, bool] = (
        {i: cell.number for i, cell in enumerate(table.rows[0])} if table.rows else {}
    )
    rule = ["---:" if numeric.get(i) else "---" for i in range(len(table.heads))]
    lines = [f"{_md(table.caption)}:", "", f"| {' | '.join(table.heads)} |", f"| {' | '.join(rule)} |"]
    for row in table.rows:
        fields = [_md(cell.text) + ("\\*" if cell.faint else "") for cell in row]
        lines.append(f"| {' | '.join(fields)} |")
    if any(cell.faint for row in table.rows for cell in row):
        lines += ["", "\\* too few requests for this percentile"]
    return lines


def _md(text: str) -> str:
    """Text that means itself in Markdown, on one line."""
    flat = " ".join(text.split())
    for mark in ("\\", "|", "*", "_", "`", "<", "["):
        flat = flat.replace(mark, f"\\{mark}" if mark != "<" else "&lt;")
    return flat
