"""The reports of a run folder, rebuilt from its records, journal and resolved.json alone. I/O through files.

``report.md``, ``report.html`` (one file, no network, no script), ``points.csv``, ``cells.csv``, ``summary.json``,
``calibration.json`` and ``plots/``. Each is whole or not there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from harness.results.document import Document, Section
from harness.results.files import write_bytes, write_json, write_text
from harness.results.forecast_section import forecast_section
from harness.results.frame import Run
from harness.results.gallery import Gallery, best_points, report_effects
from harness.results.markdown import markdown
from harness.results.predictions import Predictions, predictions
from harness.results.provenance import provenance
from harness.results.ranking import ranked_levels
from harness.results.reproduction import reproduction_section
from harness.results.searching import search_section
from harness.results.sections import (
    definitions_section,
    factor_sections,
    failure_tables,
    skipped_tables,
)
from harness.results.statements import DEFINITIONS, answers, warnings
from harness.results.store import CALIBRATION_FILE, RunFolder
from harness.results.tables import doubt_tables, identity_table, levels_table, outcome_tables

SUMMARY_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Reports:
    """Every report of a run as text, nothing written yet."""

    document: Document
    markdown: str
    html: str
    points_csv: str
    cells_csv: str
    calibration: Mapping[str, Any]
    summary: Mapping[str, Any]
    lost: Mapping[str, str]


def build_reports(folder: RunFolder) -> Reports:
    """The reports of the run; ConfigError when the folder cannot be read. Lost records are warned of in them."""
    run = Run(folder, lenient=True)
    levels = ranked_levels(run)
    forecast = predictions(run)
    document = build(run, levels, forecast)
    return Reports(
        document=document,
        markdown=markdown(document, plots_prefix=f"plots/{_prefix(document)}"),
        html=as_html(document),
        points_csv=run.points.to_csv(index=False),
        cells_csv=run.cells.to_csv(),
        calibration=forecast.calibrations.to_json(),
        summary=summary(run, levels, document),
        lost=run.lost,
    )


def write_reports(folder: RunFolder | Path, reports: Reports | None = None) -> list[Path]:
    """Write every report of the run, or those ``reports`` of it; the paths written. A partial run is reported as far
    as it went."""
    opened = folder if isinstance(folder, RunFolder) else RunFolder.open(folder)
    reports, root = reports or build_reports(opened), opened.path
    drawn = {opened.plots / f"{_prefix(reports.document)}{p.name}.png": p.png for p in reports.document.plots}
    for path, png in drawn.items():
        write_bytes(path, png)
    for stale in set(opened.plots.glob("*.png")) - set(drawn):
        stale.unlink()
    write_text(root / "points.csv", reports.points_csv)
    write_text(root / "cells.csv", reports.cells_csv)
    write_json(root / "summary.json", reports.summary)
    write_json(root / CALIBRATION_FILE, reports.calibration)
    write_text(root / "report.md", reports.markdown)
    write_text(root / "report.html", reports.html)
    names = ("report.html", "report.md", "summary.json", "points.csv", "cells.csv", CALIBRATION_FILE)
    return [root / name for name in names] + list(drawn)


def _prefix(document: Document) -> str:
    return "simulated-" if document.simulated else ""


def build(run: Run, levels: pd.DataFrame, forecast: Predictions) -> Document:
    """The report of a run; ``levels`` are its levels, ranked. Sections without anything to show are left out."""
    gallery = Gallery(run, levels)
    sections = (
        Section("What trades for what", plots=gallery.trade_offs()),
        Section("Cells", tables=(*outcome_tables(run, levels), identity_table(run))),
        *_measured_sections(run, levels, gallery, forecast),
        Section("Time to ready", plots=gallery.deployments()),
        Section("Provenance", facts=tuple(provenance(run))),
        Section("Definitions", facts=DEFINITIONS),
    )
    return Document(
        title=run.title,
        simulated=run.resolved.simulated,
        question=run.resolved.question,
        answers=tuple(answers(run, levels)),
        warnings=tuple(warnings(run, levels)),
        sections=tuple(section for section in sections if not section.is_empty),
    )


def _measured_sections(
    run: Run, levels: pd.DataFrame, gallery: Gallery, forecast: Predictions
) -> Iterator[Section]:
    """What there is to say once something was measured."""
    if levels.empty:
        return
    effects = report_effects(run)
    yield from factor_sections(effects, gallery.factors(effects))
    yield search_section(run)
    tables = (levels_table(levels), *skipped_tables(run))
    yield Section("Under load", plots=gallery.under_load(), tables=tables)
    yield Section(
        "May it be believed?", (), gallery.trust(), (*doubt_tables(levels), *failure_tables(levels))
    )
    yield forecast_section(forecast, simulated=run.resolved.simulated)
    yield definitions_section(*best_points(run, levels, most=1)[0])
    yield reproduction_section(run.resolved, run.account.started)


def summary(run: Run, levels: pd.DataFrame, document: Document) -> dict[str, Any]:
    """What a script wants to know of the run (``results/README.md``); absent figures are null."""
    cells = [{"cell_id": str(cell_id), **_plain(row)} for cell_id, row in run.cells.iterrows()]
    total = run.account.spent(run.resolved.prices)
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
        "gpu_hours": total.gpu_hours,
        "cost": None if run.resolved.prices is None else total.cost,
        "currency": None if run.resolved.prices is None else run.resolved.prices.currency,
        "may_be_alive": [paid.run_id for paid in total.open],
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
