"""``harness sweep --resume``: what earlier attempts were asked, took and measured, from their folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from harness import __version__
from harness.cli.request import SweepRequest, Terms
from harness.errors import ConfigError, UsageError
from harness.plan.config import SweepConfig
from harness.results.journal import Event, Journal, read_events
from harness.results.prices import PriceTable
from harness.results.resolved import Resolved
from harness.results.spending import Spent, paid_stretches, spent
from harness.results.store import RunFolder
from harness.sweep.cleanup import first_start
from harness.sweep.deployers import run_id
from harness.sweep.loads import levels, workload
from harness.sweep.opening import refuse
from harness.sweep.preflight import Preflight
from harness.sweep.states import Ledger, Result, replay
from harness.units import counted


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the journal of a folder to be resumed tells; nothing of a new sweep's."""

    events: list[Event] = field(default_factory=list)
    resolved: Resolved | None = None

    @property
    def started(self) -> Mapping[str, Any]:
        """The latest attempt's beginning, with the keys of all."""
        return {**last_start(self.events), "keys": first_start(self.events).get("keys", ())}

    @property
    def last_unix(self) -> float | None:
        """The latest instant it wrote down."""
        return max((event.at_unix for event in self.events), default=None)

    @property
    def prices(self) -> PriceTable | None:
        """The prices it was reckoned with."""
        return None if self.resolved is None else self.resolved.prices

    def measured(self, config: SweepConfig) -> frozenset[str]:
        """Runs whose measurements still count."""
        if self.resolved is None or not same_measurement(self.resolved, config):
            return frozenset()
        ledgers = replay(self.events).values()
        return frozenset(ledger.run_id for ledger in ledgers if ledger.result is Result.MEASURED)

    def spent(self, prices: PriceTable | None, *, now_unix: float) -> Spent:
        """What they took, what may still be alive counted up to now."""
        return spent(paid_stretches(self.events), prices, now_unix=now_unix)


def last_start(events: list[Event]) -> Mapping[str, Any]:
    """What the latest attempt wrote down at its beginning; empty when it did not come to that."""
    return next((event.data for event in reversed(events) if event.kind == "sweep-started"), {})


def config_of(named: str | None, started: Mapping[str, Any], folder: Path) -> str:
    """The config file to read; ConfigError when the one that was read is not there any more."""
    path = named or started.get("config")
    if path is None or not Path(path).is_file():
        raise ConfigError(
            f"the config of {str(folder)!r} is not at {path!r} any more; name it before --resume"
        )
    return path


def heed_config(earlier: Earlier, config: SweepConfig, plan: Preflight) -> None:
    """Say what an edited config changes of an earlier attempt's cells; UsageError for the config of another sweep."""
    before = earlier.resolved
    if before is None:
        return
    if before.name != config.name:
        raise UsageError(
            f"that folder holds the sweep {before.name!r}, and {config.path} is {config.name!r}: "
            "leave the config out to go on with the one, or --resume to begin the other"
        )
    if stale := stale_runs(before, config, replay(earlier.events)):
        click.echo(
            f"the workload, the load levels or this program's version changed: {counted(len(stale), 'run')} "
            "measured before will be measured again",
            err=True,
        )
    if before.config_sha256 == config.sha256:
        return
    then = {cell.id for cell in before.cells}
    refused, pruned = (each.cell for each in plan.refused), (each.cell for each in plan.pruned)
    now = {cell.id for cell in (*plan.accepted, *refused, *pruned)}
    click.echo(
        f"{config.path} is another than at the last attempt: {counted(len(now & then), 'cell')} as before, "
        f"{len(now - then)} new or changed, {len(then - now)} no longer in it",
        err=True,
    )


def recall(request: SweepRequest) -> tuple[SweepRequest, str, Earlier]:
    """The request with what a resumed folder's journal says of its cloud and terms, and the config to read."""
    if request.resume is None:
        assert request.config is not None, "the command demands one of the two"
        return with_terms(request, request.terms), request.config, Earlier()
    folder = RunFolder.open(request.resume)
    earlier = Earlier(read_events(request.resume / "journal.sqlite"), folder.resolved())
    started, said = earlier.started, request.choice
    chosen = said.simulate or said.local or said.endpoint is not None
    choice = replace(
        said,
        local=said.local or (not chosen and started.get("deployer") == "local"),
        simulate=said.simulate or (not chosen and bool(started.get("embedded"))),
        virtual=said.virtual or (not chosen and bool(started.get("virtual"))),
        endpoint=said.endpoint or (None if chosen else started.get("url")),
        engines=said.engines or started.get("engines"),
        zone=said.zone or started.get("zone"),
    )
    path = config_of(request.config, started, request.resume)
    return with_terms(replace(request, choice=choice), request.terms.over(Terms.of(started))), path, earlier


def with_terms(request: SweepRequest, terms: Terms) -> SweepRequest:
    """The request under these terms; a simulated cloud's pace and seed are among them."""
    choice = replace(
        request.choice,
        time_scale=terms.time_scale or request.choice.time_scale,
        seed=request.choice.seed if terms.seed is None else terms.seed,
    )
    return replace(request, terms=terms, choice=choice)


def reopen(
    path: Path, config: SweepConfig, plan: Preflight, *, unix_s: Callable[[], float]
) -> tuple[RunFolder, Journal, Mapping[str, Ledger]]:
    """The folder of an earlier attempt, from now on with this config.

    What it measured counts while the load and this program are the same.
    """
    folder = RunFolder.open(path)
    journal = Journal.open(folder.journal_path, clock=unix_s)
    ledgers = replay(journal.events())
    stale = stale_runs(folder.resolved(), config, ledgers)
    for run in stale:
        journal.append(
            "invalidated", run_id=run, data={"reason": "the workload, the load or the version changed"}
        )
    if stale:
        ledgers = replay(journal.events())
    fresh = tuple(refusal for refusal in plan.refused if run_id(refusal.cell, 0) not in ledgers)
    pruned = tuple(each for each in plan.pruned if run_id(each.cell, 0) not in ledgers)
    refuse(journal, replace(plan, refused=fresh, pruned=pruned), repeats=config.repeats)
    return folder, journal, ledgers


def stale_runs(before: Resolved, config: SweepConfig, ledgers: Mapping[str, Ledger]) -> list[str]:
    """Runs that were measured, or begun to be, as nothing is measured now."""
    if same_measurement(before, config):
        return []
    return [ledger.run_id for ledger in ledgers.values() if ledger.points or ledger.result is Result.MEASURED]


def same_measurement(before: Resolved, config: SweepConfig) -> bool:
    """True when a run measured then is one measured now: same requests, same levels, same program.

    Prompts from a file count by their content.
    """
    now = (
        workload(config.workload).described(),
        [level.to_json() for level in levels(config)],
        config.workload.seed,
    )
    then = (dict(before.workload), [dict(level) for level in before.load], before.seed)
    # Through JSON, as what was kept went: lists for tuples.
    return json.loads(json.dumps(now)) == json.loads(json.dumps(then)) and __version__ == before.tool_version
