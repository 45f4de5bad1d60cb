"""Where a report's figures came from, as names and values. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from harness.errors import UsageError
from harness.load.conversations import conversations_from_json
from harness.load.lengths import (
    LARGEST,
    EmpiricalLength,
    FixedLength,
    Lengths,
    NormalLength,
    UniformLength,
    lengths_from_json,
    mean_length,
)
from harness.results.figures import level_name
from harness.results.frame import Run
from harness.results.spending import Spent
from harness.units import MS_PER_S, first_few, format_duration


def provenance(run: Run) -> Iterable[tuple[str, str]]:
    """Where everything came from, as name and value."""
    resolved, account = run.resolved, run.account
    yield "Sweep", resolved.name
    yield "Started", resolved.started_at + (" (virtual time)" if resolved.virtual else "")
    if account.started_unix is not None and account.ended_unix is not None:
        yield "Took", format_duration(account.ended_unix - account.started_unix)
    yield "Deployed by", resolved.deployer + (" (SIMULATED)" if resolved.simulated else "")
    if resolved.zone:
        yield "Zone", resolved.zone
    yield "Engine versions", ", ".join(dict.fromkeys(cell.engine_version for cell in resolved.cells))
    yield "Models", ", ".join(dict.fromkeys(cell.model for cell in resolved.cells))
    yield "Workload", "; ".join(_workload(resolved.workload))
    yield "Load levels", "; ".join(_level(level) for level in resolved.load)
    yield "Repeats", str(resolved.repeats)
    yield "Seed", str(resolved.seed)
    if resolved.slo:
        yield "SLO", resolved.slo
    yield "Configuration", f"SHA-256 {resolved.config_sha256 or 'unknown'} of the sweep file as it was read"
    yield "Requests", _request_count(run.points)
    scaled = ", as it went here: a simulated cloud hurries its provisioning" if resolved.simulated else ""
    total = account.spent(resolved.prices)
    yield "Deployments took", f"{total.gpu_hours:.3g} GPU-hours{scaled}{_still(total)}"
    if resolved.prices is not None:
        lacking = f"; no price of {first_few(total.unpriced)}" if total.unpriced else ""
        least = "at least " if total.unpriced else ""
        yield "Deployments cost", f"{least}{total.known_cost:.2f} {resolved.prices.currency}{lacking}"
        yield "Prices", f"{resolved.prices.what}, {resolved.prices.currency}, {resolved.prices.as_of}"
    yield "Tool", f"harness {resolved.tool_version}"


def _still(total: Spent) -> str:
    """What is not counted yet, if anything is."""
    runs = ", ".join(paid.run_id for paid in total.open)
    return f", and more while what may still be alive is there ({runs})" if runs else ""


def _request_count(points: pd.DataFrame) -> str:
    if points.empty:
        return "none"
    sent, failed, unfinished = (
        int(points[f"requests_{name}"].sum()) for name in ("sent", "failed", "unfinished")
    )
    return f"{sent:,} sent, {failed:,} failed, {unfinished:,} unfinished at a window's end"


def _level(level: Mapping[str, Any]) -> str:
    """A load level by its name and its limits; one of the first versions by what the file kept of it."""
    if "label" not in level:
        return ", ".join(f"{key} {value}" for key, value in level.items() if value is not None)
    steps = f", at most {level['most_steps']} steps" if "most_steps" in level else ""
    return level_name(level, str(level["label"])) + steps


def _workload(workload: Mapping[str, Any]) -> Iterable[str]:
    """What was asked of each endpoint; what is usual is left out. The whole of it is in the commands."""
    if items := workload.get("items"):
        yield f"{items} prompts, SHA-256 {workload.get('items_sha256', 'unknown')}"
    for name in ("input tokens", "output tokens"):
        key = name.replace(" ", "_")
        yield f"{name} {lengths_said(workload.get(key, workload.get(name.replace(' ', '-'))))}"
    if conversations := workload.get("conversations"):
        held = conversations_from_json(conversations)
        yield f"conversations of {'all their' if held.turns is None else _words(held.turns)} turns"
        if held.think_time_ms is not None:
            yield f"thinking for {_words(held.think_time_ms, per=MS_PER_S)} s"
    if prefixes := workload.get("shared_prefixes"):
        yield f"prompts begin with one of {prefixes['groups']} texts of {prefixes['tokens']} tokens"
    yield from (f"{key} {workload[key]}" for key in ("api", "cache") if workload.get(key))
    if workload.get("streamed") is False:
        yield "answers in one piece"
    if workload.get("extra"):
        yield f"extra {json.dumps(workload['extra'])}"


def lengths_said(value: object) -> str:
    """A stored distribution for people: ``512``, ``16 to 4096``, ``log-normal, mean 512``."""
    try:
        return _words(lengths_from_json(value))
    except UsageError:
        return str(value)


def _words(lengths: Lengths, *, per: float = 1.0) -> str:
    """A distribution for people, its figures divided by ``per``: ``log-normal, mean 512, 16 to 4096``."""
    if isinstance(lengths, FixedLength):
        return f"{lengths.tokens / per:g}"
    if isinstance(lengths, UniformLength):
        return f"{lengths.low / per:g} to {lengths.high / per:g}"
    mean = f"mean {mean_length(lengths) / per:.4g}"
    if isinstance(lengths, EmpiricalLength):
        return f"as observed, {mean}, {min(lengths.values) / per:g} to {max(lengths.values) / per:g}"
    shape = f"{'normal' if isinstance(lengths, NormalLength) else 'log-normal'}, {mean}"
    if lengths.high < LARGEST:
        return f"{shape}, {lengths.low / per:g} to {lengths.high / per:g}"
    return shape if lengths.low == 1 else f"{shape}, at least {lengths.low / per:g}"
