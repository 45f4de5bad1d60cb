"""The report's sections on searches, failures, factors and definitions, from frames and a point. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from harness.load.definitions import variants_of_columns
from harness.load.summary import LatencySummary
from harness.results.canvas import Plot
from harness.results.document import Section, Table, TableCell
from harness.results.factors import Effect
from harness.results.frame import Run
from harness.results.gallery import EFFECT_FIGURES
from harness.results.point import Point


def factor_sections(effects: Sequence[Effect], plots: tuple[Plot, ...]) -> Iterator[Section]:
    """What each factor does on its own; nothing without one that varies between otherwise equal cells."""
    if not effects:
        return
    rows = tuple(
        (
            TableCell(effect.factor if effect.factor.startswith("--") else effect.factor.replace("_", " ")),
            TableCell(f"{effect.base} → {effect.value}"),
            TableCell(EFFECT_FIGURES.get(effect.column, effect.column)),
            TableCell(f"{effect.relative * 100:+.1f} %", number=True),
            TableCell(_interval(effect), number=True),
            TableCell("" if effect.distinguished else "not distinguished"),
            TableCell(str(effect.pairs), number=True),
        )
        for effect in effects
    )
    heads = ("Factor", "Change", "Figure", "Effect", "95 % interval", "", "Pairs")
    tested = sum(effect.interval is not None for effect in effects)
    text = (
        "Mean change over pairs of levels that differ in this factor alone, at the same load. "
        f"{tested} intervals at 95 %: about {tested / 20:.1f} would exclude 0 by chance alone."
    )
    table = Table("Main effects", heads, rows, folded=True)
    yield Section("Effect of each factor", (text,), plots, (table,))


def _interval(effect: Effect) -> str:
    if effect.interval is None:
        return "one pair"
    return f"{effect.interval.low * 100:+.1f} to {effect.interval.high * 100:+.1f} %"


def definitions_section(label: str, point: Point) -> Section:
    """The best level's requests as other tools would report them."""
    rows = tuple(
        (
            TableCell(variant.tool),
            TableCell(variant.figure),
            TableCell(variant.definition),
            *(_milliseconds(variant.summary, part) for part in ("p50", "p95", "p99")),
        )
        for variant in variants_of_columns(point.columns)
    )
    heads = ("Tool", "Figure", "Computed as", "p50 (ms)", "p95 (ms)", "p99 (ms)")
    text = f"One run, {label}: the words are the same, what they mean is not."
    return Section("Other tools' definitions", (text,), tables=(Table("The same requests", heads, rows),))


def _milliseconds(summary: LatencySummary, part: str) -> TableCell:
    value = getattr(summary, part)
    enough = summary.enough_for(float(part[1:]))
    return TableCell("–" if value is None else f"{value * 1000:.1f}", number=True, faint=not enough)


def failure_tables(levels: pd.DataFrame) -> tuple[Table, ...]:
    """Which levels had failed requests, by class of failure; none when no request failed."""
    if "failures" not in levels:
        return ()
    rows = tuple(
        (
            TableCell(str(level["label"])),
            TableCell(str(level["load"])),
            TableCell(f"{level['requests_sent']:.0f}", number=True),
            TableCell(f"{level['requests_failed']:.0f}", number=True),
            TableCell(str(level["failures"])),
        )
        for _, level in levels[levels["requests_failed"] > 0].iterrows()
    )
    caption = "Failed requests: each of one class, in no latency, and against goodput"
    return (Table(caption, ("Cell", "Load", "Sent", "Failed", "Classes"), rows),) if rows else ()


def skipped_tables(run: Run) -> tuple[Table, ...]:
    """The load levels that were passed over because a lower one was lost; none when all were measured."""
    rows = tuple(
        (*_whose(run, row), TableCell(str(row["load"])), TableCell(str(row["reason"])))
        for _, row in run.skipped_levels.iterrows()
    )
    caption = "Levels passed over, as a lower one was lost (early-stop: false measures them all the same)"
    return (Table(caption, ("Cell", "Repeat", "Load", "Why"), rows),) if rows else ()


def _whose(run: Run, row: pd.Series[Any]) -> tuple[TableCell, TableCell]:
    return TableCell(str(run.cells["label"][row["cell_id"]])), TableCell(str(row["repeat"]), number=True)
