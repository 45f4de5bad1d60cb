"""What ``harness sweep`` does between its options and its exit code: check, agree, carry out, report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from harness.cli.agreeing import agree, make_budget, times_of
from harness.cli.calibrating import read_calibrations
from harness.cli.closing import Ended, close
from harness.cli.clouds import Cloud, open_cloud
from harness.cli.earlier_clouds import refuse_another_cloud
from harness.cli.progress import SweepView
from harness.cli.pruning import Pruner, rule_of
from harness.cli.request import SweepRequest
from harness.cli.resuming import Earlier, heed_config, recall, reopen
from harness.cli.sweep import default_results
from harness.errors import UsageError
from harness.load.cluster import open_crew
from harness.load.crew import Crew
from harness.load.session import measure_with
from harness.plan.config import SweepConfig, load_config
from harness.results.clock import elapsed_s
from harness.results.files import write_json
from harness.results.journal import Journal
from harness.results.price_file import load_prices
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, require_room
from harness.sweep.budget import Budget
from harness.sweep.conduct import Conduct, conduct
from harness.sweep.estimates import Timing
from harness.sweep.keeping import Kept, keep, write_kept
from harness.sweep.measure import Instruments
from harness.sweep.opening import plan_runs, resolve, start_folder
from harness.sweep.outcome import SweepOutcome
from harness.sweep.preflight import Preflight, preflight
from harness.sweep.runner import Limits
from harness.sweep.states import Ledger, Result


def run_sweep(request: SweepRequest) -> Ended:
    """Carry out one call of ``harness sweep``, on a loop of the kind of time it asks for."""
    request, path, earlier = recall(request)
    request.choice.check()
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
    heed_config(earlier, config, plan)
    folder_path = request.resume or request.results or default_results(config.name)
    if request.resume is None:
        require_room(folder_path, replace=request.replace)
    tell_findings(plan)
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
        open_cloud(
            request.choice, config, log_folder=folder_path / "logs", since_unix=earlier.last_unix
        ) as cloud,
    ):
        if request.resume is not None and cloud.credentials is not None and not cloud.where.get("embedded"):
            refuse_another_cloud(
                cloud.credentials, earlier.started, same_organisation=request.choice.same_organisation
            )
        if cloud.authorized is not None:
            plan = pruner(preflight(config, managed=True, authorized=cloud.authorized))
            tell_findings(replace(plan, warnings=()), told=offline)
        if cloud.models is not None:
            await cloud.models.check(cell.model for cell in plan.accepted)
        times = times_of(cloud.pace, earlier)
        budget = make_budget(
            config, plan.accepted, request, prices=prices, times=times, earlier=earlier, clock=cloud.clock
        )
        agree(config, plan, budget, request, cloud, prices=prices, times=times)
        resolved = resolve(
            config,
            plan,
            cloud.deployer,
            prices=prices,
            unix_s=cloud.clock,
            virtual=cloud.zone is not None,
            kept=kept,
        )
        folder, journal, ledgers = open_folder(
            folder_path, request, config, plan, resolved, kept, unix_s=cloud.clock
        )
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
    return close(folder, plan, outcome, over_budget=frozenset(budget.refused))


def open_folder(
    path: Path,
    request: SweepRequest,
    config: SweepConfig,
    plan: Preflight,
    resolved: Resolved,
    kept: Kept,
    *,
    unix_s: Callable[[], float],
) -> tuple[RunFolder, Journal, Mapping[str, Ledger]]:
    """A new folder, or the resumed one as it is from now on; its journal, and the runs of earlier attempts."""
    if request.resume is None:
        folder, journal = start_folder(
            path, config, plan, resolved, kept=kept, replace=request.replace, unix_s=unix_s
        )
        return folder, journal, {}
    folder, journal, ledgers = reopen(request.resume, config, plan, unix_s=unix_s)
    write_kept(folder, kept)
    write_json(path / "resolved.json", resolved.to_json())
    return folder, journal, ledgers


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
    with SweepView(todo, simulated_time=cloud.pace != 1.0 or cloud.zone is not None) as view:
        reuse = bool(request.terms.reuse)
        how = Conduct(
            **means,
            limits=Limits(request.parallel, family_gpus=cloud.family_gpus, reuse=reuse),
            patience=cloud.patience,
            budget=budget,
            times=times,
            ttl_s=request.terms.ttl_s,
            running_s=elapsed_s() - request.began_s if cloud.zone is None else cloud.zone.seconds(),
            clock=cloud.clock,
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
