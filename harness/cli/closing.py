"""How ``harness sweep`` ends: its reports written, every run accounted for, what remains to be done named."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import click

from harness.results.account import State, account
from harness.results.files import StoreError
from harness.results.store import RunFolder
from harness.sweep.deployers import run_id
from harness.sweep.outcome import SweepOutcome, require_nothing_left
from harness.sweep.preflight import Preflight
from harness.units import counted

# Told whatever their number; the other states only where there are any.
ALWAYS_TOLD = ("measured", "failed", "skipped", "refused")


@dataclass(frozen=True, slots=True)
class Ended:
    """What the command prints and returns."""

    exit_code: int
    text: str
    summary: Mapping[str, Any]


def close(
    folder: RunFolder, plan: Preflight, outcome: SweepOutcome, *, over_budget: Collection[str] = ()
) -> Ended:
    """Write the reports, whatever happened, then say what remains. ``over_budget`` are runs the limits kept back."""
    from harness.results.report import write_reports  # matplotlib takes a second to import

    try:
        written = write_reports(folder)
    except StoreError:
        require_nothing_left(outcome)  # that comes first
        raise
    require_nothing_left(outcome)
    counts = counts_of(folder, plan)
    summary = {
        "results": str(folder.path),
        "reports": [str(path) for path in written if path.parent == folder.path],
        "runs": sum(counts.values()),
        **counts,
        "over_budget": len(over_budget),
        "interrupted_by": outcome.interrupted_by,
        "left_running": [ledger.name for ledger in outcome.left_running],
    }
    _tell_remains(folder, outcome, summary)
    code = outcome.exit_code
    return Ended(1 if code == 0 and not counts["measured"] else code, as_text(folder, summary), summary)


def counts_of(folder: RunFolder, plan: Preflight) -> dict[str, int]:
    """Every run of the plan in exactly one place, repeats included; skipped by the pruning rule is apart."""
    resolved = folder.resolved()
    pruned = {run_id(each.cell, repeat) for each in plan.pruned for repeat in range(resolved.repeats)}
    counts = {state.value.replace(" ", "_"): 0 for state in State} | {"pruned": 0}
    for run in account(resolved.cells, repeats=resolved.repeats, events=folder.events()).runs:
        is_pruned = run.state is State.SKIPPED and run.run_id in pruned
        counts["pruned" if is_pruned else run.state.value.replace(" ", "_")] += 1
    return counts


def _tell_remains(folder: RunFolder, outcome: SweepOutcome, summary: Mapping[str, Any]) -> None:
    """On stderr: why it ended before its end, and which command goes on."""
    if outcome.ended_by is not None:
        click.echo(f"error: the sweep ended early: {outcome.ended_by}", err=True)
    for name in outcome.unfound:
        click.echo(
            f"the create of {name} had no answer, and it was not to be found; look again: harness cleanup",
            err=True,
        )
    resume = f"harness sweep --resume {folder.path}"
    if outcome.interrupted_by is not None:
        click.echo(f"interrupted by {outcome.interrupted_by}; resume: {resume}", err=True)
    if summary["over_budget"]:
        kept_back = counted(summary["over_budget"], "run")
        click.echo(
            f"{kept_back} not launched: the limit would have been passed; under a higher one "
            f"(--max-gpu-hours, --max-cost): {resume}",
            err=True,
        )
    if not summary["measured"] and outcome.exit_code != 3:
        click.echo("error: nothing was measured", err=True)


def as_text(folder: RunFolder, summary: Mapping[str, Any]) -> str:
    """The counts, what the report answers, and where it is."""
    found = json.loads((folder.path / "summary.json").read_text(encoding="utf-8"))
    others = [name for name in ("interrupted", "not_started", "pruned") if summary[name]]
    counts = ", ".join(f"{summary[name]} {name.replace('_', ' ')}" for name in (*ALWAYS_TOLD, *others))
    lines = [
        f"{counted(summary['runs'], 'run')}: {counts}; nothing left running",
        *found["warnings"],
        *found["answers"],
    ]
    return "\n".join([*lines, *(f"  {path}" for path in summary["reports"])])
