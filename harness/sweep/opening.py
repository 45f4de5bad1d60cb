"""Opens a sweep's folder: what was asked, which runs there are, and which were refused before anything was paid for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.forecast.models import ModelFacts
from harness.plan.cells import Cell
from harness.plan.config import SweepConfig
from harness.plan.engine import facts_of
from harness.plan.matrix import expand
from harness.results.journal import Journal
from harness.results.prices import PriceTable
from harness.results.resolved import Resolved
from harness.results.store import RunFolder
from harness.sweep.deployers import Deployer, Run, run_id
from harness.sweep.keeping import Kept, write_kept
from harness.sweep.loads import levels, workload
from harness.sweep.preflight import Preflight, read_model_configs

NAME_PREFIX = "harness"


def plan_runs(cells: Sequence[Cell], repeats: int, *, token: str) -> list[Run]:
    """Every cell's repeats, interleaved (all cells once, then all again), each with a name of its own."""
    return [
        Run(cell, repeat, f"{NAME_PREFIX}-{token}-{run_id(cell, repeat)}")
        for repeat in range(repeats)
        for cell in cells
    ]


def resolve(
    config: SweepConfig,
    plan: Preflight,
    deployer: Deployer,
    *,
    prices: PriceTable | None,
    unix_s: Callable[[], float] = time.time,
    virtual: bool = False,
    kept: Kept | None = None,
) -> Resolved:
    """What this sweep was asked to do, for ``resolved.json``; refused cells are in it too."""
    return Resolved(
        name=config.name,
        started_at=datetime.fromtimestamp(unix_s(), UTC).isoformat(timespec="seconds"),
        simulated=deployer.simulated,
        virtual=virtual,
        deployer=deployer.kind,
        cells=(
            *plan.accepted,
            *(pruned.cell for pruned in plan.pruned),
            *(refusal.cell for refusal in plan.refused),
        ),
        question=config.question,
        zone=config.zone,
        seed=config.workload.seed,
        slo=config.slo,
        workload=workload(config.workload).described(),
        load=tuple(level.to_json() for level in levels(config)),
        repeats=config.repeats,
        config_sha256=config.sha256,
        prices=prices,
        models=_facts(config),
        prune=None if plan.rule is None else plan.rule.text,
        pruned={pruned.cell.id: pruned.reason for pruned in plan.pruned},
        inputs=None if kept is None else tuple(kept.inputs),
    )


def _facts(config: SweepConfig) -> dict[str, Mapping[str, Any]]:
    """What the forecast knows of each model that the matrix names, where it covers it."""
    configs = read_model_configs(config.models)
    names = dict.fromkeys(cell.model for cell in expand(config))
    found = {name: facts_of(name, configs.get(name)) for name in names}
    return {name: facts.to_json() for name, facts in found.items() if isinstance(facts, ModelFacts)}


def start_folder(
    path: Path,
    config: SweepConfig,
    plan: Preflight,
    resolved: Resolved,
    *,
    kept: Kept,
    replace: bool,
    unix_s: Callable[[], float] = time.time,
) -> tuple[RunFolder, Journal]:
    """A new run folder with what it keeps, every refused cell accounted for."""
    folder, journal = RunFolder.create(
        path, config=kept.config, resolved=resolved, replace=replace, clock=unix_s
    )
    write_kept(folder, kept)
    refuse(journal, plan, repeats=config.repeats)
    return folder, journal


def refuse(journal: Journal, plan: Preflight, *, repeats: int) -> None:
    """One event per refused run, with its reason and all findings, and one per pruned run."""
    for pruned in plan.pruned:
        for repeat in range(repeats):
            skipped = {"reason": f"pruned: {pruned.reason}", "prune": plan.rule and plan.rule.text}
            journal.append("skipped", run_id=run_id(pruned.cell, repeat), data=skipped)
    for refusal in plan.refused:
        findings = [f"{finding.code}: {finding.message}" for finding in refusal.findings]
        for repeat in range(repeats):
            data = {"reason": refusal.reason, "cause": refusal.findings[0].code, "diagnostics": findings}
            journal.append("cell-refused", run_id=run_id(refusal.cell, repeat), data=data)
