"""What ``harness sweep`` does between its options and its exit code: check, agree, carry out, report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from harness import __version__
from harness.cli.clouds import Cloud, CloudChoice, open_cloud
from harness.cli.progress import SweepView
from harness.cli.pruning import Pruner, rule_of
from harness.cli.sweep import default_results
from harness.errors import ConfigError, UsageError
from harness.plan.cells import Cell
from harness.plan.config import SweepConfig, load_config
from harness.results.files import write_json
from harness.results.journal import Journal, read_events
from harness.results.prices import PriceTable
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, load_prices
from harness.sweep.budget import Budget
from harness.sweep.conduct import Conduct, conduct, plan_runs, refuse, resolve, start_folder
from harness.sweep.deployers import run_id
from harness.sweep.estimates import estimate_runs, price_of
from harness.sweep.loads import stages, workload
from harness.sweep.preflight import Preflight, preflight
from harness.sweep.runner import Limits, SweepOutcome, require_nothing_left
from harness.sweep.states import Ledger, Result, replay
from harness.units import format_duration


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """The options of one call."""

    config: str | None
    choice: CloudChoice
    resume: Path | None = None
    results: Path | None = None
    replace: bool = False
    confirmed: bool = False
    parallel: int = 2
    reuse: bool = False
    max_gpu_hours: float | None = None
    max_cost: float | None = None
    prices: Path | None = None
    prune: str | None = None
    no_prune: bool = False
    ttl_s: float | None = None
    delete_models: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """What the command prints and returns."""

    exit_code: int
    text: str
    summary: Mapping[str, Any]


async def run_sweep(request: SweepRequest) -> Ended:
    """Carry out one call of ``harness sweep``."""
    request, path = recall(request)
    config = load_config(path)
    prices = None if request.prices is None else load_prices(request.prices)
    rule = rule_of(config, request.prune, no_prune=request.no_prune)
    pruner = Pruner(config, rule, prices)
    plan = offline = pruner(preflight(config, managed=request.choice.managed))
    if request.choice.endpoint is not None and plan.cells != 1:
        raise UsageError(f"an existing endpoint is one cell; {config.path} has {plan.cells}")
    tell_findings(plan)
    budget = make_budget(config, plan.accepted, request, prices=prices)
    agree(config, plan, budget, request)
    folder_path = request.resume or request.results or default_results(config.name)
    async with open_cloud(request.choice, config, log_folder=folder_path / "logs") as cloud:
        if cloud.authorized is not None:
            plan = pruner(preflight(config, managed=True, authorized=cloud.authorized))
            tell_findings(replace(plan, warnings=()), told=offline)
        resolved = resolve(config, plan, cloud.deployer, prices=prices)
        if request.resume is None:
            folder, journal = start_folder(folder_path, config, plan, resolved, replace=request.replace)
            ledgers: Mapping[str, Ledger] = {}
        else:
            folder, journal, ledgers = reopen(request.resume, config, plan)
            write_json(folder_path / "resolved.json", resolved.to_json())
        with journal:
            if cloud.models is not None:
                await cloud.models.ensure([cell.model for cell in plan.accepted], journal, say=tell)
            outcome = await carry_out(
                request, config, plan, cloud, folder, journal, budget=budget, ledgers=ledgers
            )
            if cloud.models is not None and request.delete_models:
                await cloud.models.remove_created(journal, say=tell)
    return close(folder, plan, outcome)


def tell(text: str) -> None:
    """A line of progress."""
    click.echo(text, err=True)


def recall(request: SweepRequest) -> tuple[SweepRequest, str]:
    """The request with what a resumed folder's journal says of its cloud, and the config to read."""
    if request.resume is None:
        assert request.config is not None, "the command demands one of the two"
        return request, request.config
    RunFolder.open(request.resume)
    started = next(
        (e.data for e in read_events(request.resume / "journal.sqlite") if e.kind == "sweep-started"), {}
    )
    choice = replace(
        request.choice,
        local=request.choice.local or started.get("deployer") == "local",
        simulate=request.choice.simulate or bool(started.get("embedded")),
    )
    path = request.config or started.get("config")
    if path is None or not Path(path).is_file():
        raise ConfigError(
            f"the config of {str(request.resume)!r} is not at {path!r} any more; name it before --resume"
        )
    prune = request.prune if request.prune or request.no_prune else started.get("prune")
    return replace(request, choice=choice, prune=prune), path


def reopen(
    path: Path, config: SweepConfig, plan: Preflight
) -> tuple[RunFolder, Journal, Mapping[str, Ledger]]:
    """The folder of an earlier attempt. What it measured counts while the load and this program are the same."""
    folder = RunFolder.open(path)
    journal = Journal.open(folder.journal_path)
    ledgers = replay(journal.events())
    stale = (
        []
        if same_measurement(folder.resolved(), config)
        else [
            ledger.run_id for ledger in ledgers.values() if ledger.points or ledger.result is Result.MEASURED
        ]
    )
    for run in stale:
        journal.append(
            "invalidated", run_id=run, data={"reason": "the workload, the load or the version changed"}
        )
    if stale:
        tell(f"the workload, the load levels or the version changed: {len(stale)} runs are measured again")
        ledgers = replay(journal.events())
    fresh = tuple(refusal for refusal in plan.refused if run_id(refusal.cell, 0) not in ledgers)
    pruned = tuple(each for each in plan.pruned if run_id(each.cell, 0) not in ledgers)
    refuse(journal, replace(plan, refused=fresh, pruned=pruned), repeats=config.repeats)
    return folder, journal, ledgers


def same_measurement(before: Resolved, config: SweepConfig) -> bool:
    """True when a run measured then is one measured now: same requests, same levels, same program."""
    now = (
        workload(config.workload).to_json(),
        [stage.to_json() for stage in stages(config)],
        config.workload.seed,
    )
    then = (dict(before.workload), [dict(level) for level in before.load], before.seed)
    return (now, __version__) == (then, before.tool_version)


async def carry_out(
    request: SweepRequest,
    config: SweepConfig,
    plan: Preflight,
    cloud: Cloud,
    folder: RunFolder,
    journal: Journal,
    *,
    budget: Budget,
    ledgers: Mapping[str, Ledger],
) -> SweepOutcome:
    """Conduct the runs under the live view."""
    todo = [
        run
        for run in plan_runs(plan.accepted, config.repeats, token="")
        if ledgers.get(run.id, Ledger(run.id)).result is not Result.MEASURED
    ]
    with SweepView(todo) as view:
        how = Conduct(
            limits=Limits(request.parallel, family_gpus=cloud.family_gpus, reuse=request.reuse),
            patience=cloud.patience,
            budget=budget,
            ttl_s=request.ttl_s,
            where={**cloud.where, "config": config.path, "prune": plan.rule and plan.rule.text},
            notice=view.notice,
            on_progress=view.progress,
            on_interrupt=lambda name: view.say(f"{name}: tearing down; once more to let go"),
        )
        return await conduct(config, plan, cloud.deployer, folder, journal, how, ledgers=ledgers)


def tell_findings(plan: Preflight, *, told: Preflight | None = None) -> None:
    """Every refused cell with its reason, every distinct warning, on stderr; not again what was ``told``."""
    known: set[str] = set()
    if told is not None:
        known = {one.cell.id for one in told.refused} | {one.cell.id for one in told.pruned}
    for finding in plan.warnings:
        click.echo(f"{finding.severity}[{finding.code}]: {finding.message}", err=True)
    for refusal in plan.refused:
        if refusal.cell.id in known:
            continue
        click.echo(f"refused {refusal.cell.label}: {refusal.reason}", err=True)
    for pruned in plan.pruned:
        if pruned.cell.id not in known:
            click.echo(f"pruned {pruned.cell.label}: {pruned.reason}", err=True)


def make_budget(
    config: SweepConfig, cells: Sequence[Cell], request: SweepRequest, *, prices: PriceTable | None
) -> Budget:
    """Estimates of every run, under the limits of the call. UsageError for a cost limit without prices."""
    if request.max_cost is not None and prices is None:
        raise UsageError("--max-cost needs --prices FILE, such as configs/prices.yaml")
    estimates = estimate_runs(
        config, cells, price_of(prices), time_scale=scale_of(request.choice), reuse=request.reuse
    )
    return Budget(estimates, max_gpu_hours=request.max_gpu_hours, max_cost=request.max_cost)


def scale_of(choice: CloudChoice) -> float:
    """How much faster than real provisioning goes."""
    return choice.time_scale if choice.simulate else 1.0


def agree(config: SweepConfig, plan: Preflight, budget: Budget, request: SweepRequest) -> None:
    """Say what is about to be launched and, where it costs money, ask."""
    estimates = budget.estimates.values()
    hours = sum(estimate.gpu_hours for estimate in estimates)
    costs = [estimate.cost for estimate in estimates]
    cost = "" if not costs or None in costs else f", about {sum(filter(None, costs)):.2f} by the price file"
    at_once = max(1, min(request.parallel, len(plan.accepted)))
    wall = sum(estimate.seconds for estimate in estimates) / at_once
    click.echo(
        f"{config.name}: {plan.cells} cells, {len(plan.accepted)} to run x {config.repeats}, "
        f"{len(plan.refused)} refused{f', {len(plan.pruned)} pruned' if plan.pruned else ''}; "
        f"about {format_duration(wall)} and {hours:.2f} GPU-hours{cost}"
        f"{' (simulated)' if request.choice.simulate else ''}",
        err=True,
    )
    if not request.confirmed and plan.accepted:
        click.confirm("Launch these deployments?", abort=True, err=True)


def close(folder: RunFolder, plan: Preflight, outcome: SweepOutcome) -> Ended:
    """Write the reports, whatever happened, then say what remains."""
    from harness.results.report import write_reports  # matplotlib takes a second to import

    written = write_reports(folder)
    by_result = dict.fromkeys(Result, 0)
    pruned = {each.cell.id for each in plan.pruned}
    for ledger in outcome.ledgers.values():
        if ledger.result is not Result.SKIPPED or ledger.run_id.rpartition("-r")[0] not in pruned:
            by_result[ledger.result] += 1
    summary = {
        "results": str(folder.path),
        "reports": [str(path) for path in written if path.parent == folder.path],
        "measured": by_result[Result.MEASURED],
        "failed": by_result[Result.FAILED],
        "skipped": by_result[Result.SKIPPED],
        "refused": len(plan.refused),
        "pruned": len(plan.pruned),
        "interrupted_by": outcome.interrupted_by,
        "left_running": [ledger.name for ledger in outcome.left_running],
    }
    if outcome.left_running:
        require_nothing_left(outcome)
    if outcome.ended_by is not None:
        click.echo(f"error: the sweep ended early: {outcome.ended_by}", err=True)
    if outcome.interrupted_by is not None:
        click.echo(
            f"interrupted by {outcome.interrupted_by}; resume: harness sweep --resume {folder.path}", err=True
        )
    code = outcome.exit_code
    if code == 0 and not plan.accepted:
        code = 1
    return Ended(code, as_text(folder, summary), summary)


def as_text(folder: RunFolder, summary: Mapping[str, Any]) -> str:
    """The counts, what the report answers, and where it is."""
    found = json.loads((folder.path / "summary.json").read_text(encoding="utf-8"))
    named = ("measured", "failed", "skipped", "refused", *(("pruned",) if summary["pruned"] else ()))
    counts = ", ".join(f"{summary[name]} {name}" for name in named)
    lines = [f"{counts}; nothing left running", *found["warnings"], *found["answers"]]
    return "\n".join([*lines, *(f"  {path}" for path in summary["reports"])])
