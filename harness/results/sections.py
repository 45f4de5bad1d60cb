"""The report's sections on failures, factors, definitions and reproduction, from a run's frames and one point. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.load.definitions import variants_of_columns
from harness.load.summary import LatencySummary
from harness.results.document import Section, Table, TableCell
from harness.results.factors import Effect
from harness.results.point import Point
from harness.results.resolved import Resolved

FIGURES: Mapping[str, str] = {
    "output_throughput_tok_s": "output tokens/s",
    "ttft_p95_s": "TTFT p95",
    "tpot_p50_s": "TPOT p50",
}


def factor_section(effects: Sequence[Effect]) -> Section | None:
    """What each factor does on its own; None without one that varies between otherwise equal cells."""
    if not effects:
        return None
    rows = tuple(
        (
            TableCell(effect.factor if effect.factor.startswith("--") else effect.factor.replace("_", " ")),
            TableCell(f"{effect.base} → {effect.value}"),
            TableCell(FIGURES.get(effect.column, effect.column)),
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
    return Section("Effect of each factor", (text,), (Table("Main effects", heads, rows),))


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
    return Section("Other tools' definitions", (text,), (Table("The same requests", heads, rows),))


def _milliseconds(summary: LatencySummary, part: str) -> TableCell:
    value = getattr(summary, part)
    enough = summary.enough_for(float(part[1:]))
    return TableCell("–" if value is None else f"{value * 1000:.1f}", number=True, faint=not enough)


def failure_section(levels: pd.DataFrame) -> Section | None:
    """Which levels had failed requests, by class of failure; None when no request failed."""
    if "failures" not in levels:
        return None
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
    text = "A failed request is in no latency and counts against goodput. Each is of one class:"
    heads = ("Cell", "Load", "Sent", "Failed", "Classes")
    return (
        Section("Failed requests", (text,), (Table("Levels with failed requests", heads, rows),))
        if rows
        else None
    )


def search_section(searches: pd.DataFrame, labels: pd.Series[Any]) -> Section | None:
    """What every search of every run found; None without one."""
    rows = tuple(
        (
            TableCell(str(labels[row["cell_id"]])),
            TableCell(str(row["repeat"]), number=True),
            TableCell(str(row["search"])),
            TableCell(str(row["answer"])),
            TableCell(str(row["steps"]), number=True),
        )
        for _, row in searches.iterrows()
    )
    text = (
        "Each step is a load level of its own above. An answer is unresolved where the samples allow another one; "
        "95 % intervals (Wilson) decide."
    )
    heads = ("Cell", "Repeat", "Search", "Found", "Steps")
    return Section("Searches", (text,), (Table("What was found", heads, rows),)) if rows else None


def skipped_section(skipped: pd.DataFrame, labels: pd.Series[Any]) -> Section | None:
    """The load levels that were passed over because a lower one was lost; None when there are none."""
    rows = tuple(
        (
            TableCell(str(labels[row["cell_id"]])),
            TableCell(str(row["repeat"]), number=True),
            TableCell(str(row["load"])),
            TableCell(str(row["reason"])),
        )
        for _, row in skipped.iterrows()
    )
    text = "A lower level of the same kind was lost; early-stop: false in the sweep file measures them all the same."
    table = Table("Levels passed over", ("Cell", "Repeat", "Load", "Why"), rows)
    return Section("Levels not measured", (text,), (table,)) if rows else None


def reproduction_section(resolved: Resolved) -> Section:
    """The commands that do it again: the whole sweep, and each load level on any endpoint."""
    way = {"local": " --local"}.get(resolved.deployer, " --simulate" if resolved.simulated else "")
    rows = tuple(
        (
            TableCell(str(stage.get("label", f"level {point}"))),
            TableCell(load_command(stage, resolved, seed=resolved.seed + point)),
        )
        for point, stage in enumerate(resolved.load)
    )
    texts = (
        f"The whole sweep, from the config.yaml in this folder: harness sweep config.yaml{way}",
        "One load level, against an endpoint that runs a cell's parameters; put its address for URL:",
    )
    return Section("To reproduce", texts, (Table("Each load level", ("Level", "Command"), rows),))


def load_command(stage: Mapping[str, Any], resolved: Resolved, *, seed: int) -> str:
    """``harness load`` with this stage's arrivals and the sweep's workload; lengths it cannot say are left out."""
    words = ["harness", "load", "URL"]
    if "concurrency" in stage:
        words += ["--concurrency", f"{stage['concurrency']}"]
    elif "rate_req_s" in stage:
        arrivals = str(stage.get("kind", "poisson-rate")).removesuffix("-rate")
        words += ["--rate", f"{stage['rate_req_s']:g}", "--arrivals", arrivals]
        words += ["--burstiness", f"{stage['burstiness']:g}"] if "burstiness" in stage else []
    for option, key in (("--duration", "duration_s"), ("--requests", "requests"), ("--warmup", "warmup_s")):
        if stage.get(key) is not None:
            words += [option, f"{stage[key]:g}"]
    words += ["--find", str(stage["find"])] if stage.get("find") else []
    words += ["--slo", str(stage["slo"])] if stage.get("slo") else []
    workload = resolved.workload
    for option, key in (("--input-tokens", "input_tokens"), ("--output-tokens", "output_tokens")):
        length = _length(workload.get(key, workload.get(key.replace("_", "-"))))
        words += [option, length] if length else []
    words += [f"--{key}={workload[key]}" for key in ("api", "cache") if isinstance(workload.get(key), str)]
    return shlex.join([*words, "--seed", str(seed)])


def _length(value: object) -> str | None:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping) and isinstance(value.get("tokens"), int):
        return str(value["tokens"])
    return None
