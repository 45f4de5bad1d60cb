"""What ``harness sweep`` does between its options and its exit code: check, agree, carry out, report."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from harness.cli.agreeing import agree, make_budget, times_of
from harness.cli.calibrating import read_calibrations
from harness.cli.clouds import Cloud, open_cloud, refuse_another_cloud
from harness.cli.progress import SweepView
from harness.cli.pruning import Pruner, rule_of
from harness.cli.request import SweepRequest
from harness.cli.resuming import Earlier, recall, reopen
from harness.cli.sweep import default_results
from harness.errors import UsageError
from harness.load.cluster import open_crew
from harness.load.crew import Crew
from harness.load.session import measure_with
from harness.plan.config import SweepConfig, load_config
from harness.results.clock import elapsed_s
from harness.results.files import StoreError, write_json
from harness.results.journal import Journal
from harness.results.price_file import load_prices
from harness.results.store import RunFolder
from harness.sweep.budget import Budget
from harness.sweep.conduct import Conduct, conduct
from harness.sweep.estimates import Timing
from harness.sweep.keeping import keep, write_kept
from harness.sweep.measure import Instruments
from harness.sweep.opening import plan_runs, resolve, start_folder
from harness.sweep.outcome import SweepOutcome, require_nothing_left
from harness.sweep.preflight import Preflight, preflight
from harness.sweep.runner import Limits
from harness.sweep.states import Ledger, Result


@dataclass(frozen=True, slots=True)
class Ended:
    """What the command prints and returns."""

    exit_code: int
    text: str
    summary: Mapping[str, Any]


def run_sweep(request: SweepRequest) -> Ended:
    """Carry out one call of ``harness sweep``, on a loop of the kind of time it asks for."""
    request, path, earlier = recall(request)
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if request.choice.virtual:
        if request.executor is not None:
            raise UsageError(
                "--executor has no part in virtual time: no process waits there, here or on a cluster"
            )
        from harness.simulator.virtual_time import VirtualLoop

        loop_factory = VirtualLoop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_sweep(request, path, earlier))


async def _sweep(request: SweepRequest, path: str, earlier: Earlier) -> Ended:
    config = load_config(path)
    prices = earlier.prices if request.prices is None else load_prices(request.prices)
    rule = rule_of(config, request.terms.prune)
    calibrations = read_calibrations(request.terms.calibration)
    pruner = Pruner(config, rule, prices, calibrations)
    plan = offline = pruner(preflight(config, managed=request.choice.managed))
    if request.choice.endpoint is not None and plan.cells != 1:
        raise UsageError(f"an existing endpoint is one cell; {config.path} has {plan.cells}")
    tell_findings(plan)
    times = times_of(request, earlier)
    budget = make_budget(config, plan.accepted, request, prices=prices, times=times, earlier=earlier)
    agree(config, plan, budget, request, prices=prices, times=times)
    folder_path = request.resume or request.results or default_results(config.name)
    faults = request.choice.faults
    kept = keep(
        config,
        local=request.choice.local,
        prices=prices,
        calibrations=calibrations,
        faults=None if faults is None else Path(faults),
    )
    async with (
        open_crew(request.executor) as crew,
        open_cloud(request.choice, config, log_folder=folder_path / "logs") as cloud,
    ):
        if request.resume is not None and cloud.credentials is not None and not cloud.where.get("embedded"):
            refuse_another_cloud(
                cloud.credentials, earlier.started, same_organisation=request.choice.same_organisation
            )
        if cloud.authorized is not None:
            plan = pruner(preflight(config, managed=True, authorized=cloud.authorized))
            tell_findings(replace(plan, warnings=()), told=offline)
        unix_s = time.time if cloud.zone is None else cloud.zone.surroundings.unix_s
        resolved = resolve(
            config,
            plan,
            cloud.deployer,
            prices=prices,
            unix_s=unix_s,
            virtual=cloud.zone is not None,
            kept=kept,
        )
        if request.resume is None:
            folder, journal = start_folder(
                folder_path, config, plan, resolved, kept=kept, replace=request.replace, unix_s=unix_s
            )
            ledgers: Mapping[str, Ledger] = {}
        else:
            folder, journal, ledgers = reopen(request.resume, config, plan, unix_s=unix_s)
            write_kept(folder, kept)
            write_json(folder_path / "resolved.json", resolved.to_json())
        with journal:
            async with models_ready(request, plan, cloud, journal):
                outcome = await carry_out(
                    request,
                    config,
                    plan,
                    cloud,
                    folder,
                    journal,
                    crew=crew,
                    budget=budget,
                    ledgers=ledgers,
                    times=times,
                )
    return close(folder, plan, outcome)


def tell(text: str) -> None:
    """A line of progress."""
    click.echo(text, err=True)


async def carry_out(
    request: SweepRequest,
    config: SweepConfig,
    plan: Preflight,
    cloud: Cloud,
    folder: RunFolder,
    journal: Journal,
    *,
    crew: Crew,
    budget: Budget,
    ledgers: Mapping[str, Ledger],
    times: Timing,
) -> SweepOutcome:
    """Conduct the runs under the live view."""
    todo = [
        run
        for run in plan_runs(plan.accepted, config.repeats, token="")
        if ledgers.get(run.id, Ledger(run.id)).result is not Result.MEASURED
    ]
    means: dict[str, Any] = {"instruments": Instruments(drive=partial(measure_with, crew))}
    if cloud.zone is not None:
        attempts = sum(event.kind == "sweep-started" for event in journal.events())
        means = {"instruments": cloud.zone.instruments(), "token": cloud.zone.token(attempts)}
    with SweepView(todo) as view:
        reuse = bool(request.terms.reuse)
        how = Conduct(
            **means,
            limits=Limits(request.parallel, family_gpus=cloud.family_gpus, reuse=reuse),
            patience=cloud.patience,
            budget=budget,
            times=times,
            ttl_s=request.terms.ttl_s,
            running_s=elapsed_s() - request.began_s,
            where={**cloud.where, "config": config.path, "terms": request.terms.to_json()},
            notice=view.notice,
            on_progress=view.progress,
            on_interrupt=lambda name: view.say(f"{name}: tearing down; once more to let go"),
        )
        return await conduct(config, plan, cloud.deployer, folder, journal, how, ledgers=ledgers)


@asynccontextmanager
async def models_ready(
    request: SweepRequest, plan: Preflight, cloud: Cloud, journal: Journal
) -> AsyncIterator[None]:
    """The models that the cells need, in the zone; those created for it deleted again if that was asked."""
    if cloud.models is None:
        yield
        return
    try:
        await cloud.models.ensure([cell.model for cell in plan.accepted], journal, say=tell)
        yield
    finally:
        if request.terms.delete_models:
            await cloud.models.remove_created(journal, say=tell)


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


def close(folder: RunFolder, plan: Preflight, outcome: SweepOutcome) -> Ended:
    """Write the reports, whatever happened, then say what remains."""
    from harness.results.report import write_reports  # matplotlib takes a second to import

    try:
        written = write_reports(folder)
    except StoreError:
        require_nothing_left(outcome)  # that comes first
        raise
    require_nothing_left(outcome)
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
    if outcome.ended_by is not None:
        click.echo(f"error: the sweep ended early: {outcome.ended_by}", err=True)
    for name in outcome.unfound:
        tell(f"the create of {name} had no answer, and it was not to be found; look again: harness cleanup")
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
