"""The fleets that ``harness capacity`` tries in virtual time before it recommends one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.capacity.check import Check, Trace
    from harness.capacity.fleet import Answer, Demand, Option
    from harness.capacity.forecasted import Lengths
    from harness.cli.capacity_known import Known
    from harness.plan.cells import Cell

NEXT_TRIED = 2  # options dearer than the answer that are tried unasked: what is shown next should stand too
MOST_TRIED = 10  # options that are sized by trials where all are asked for; those after them are dearer
TRIAL_S, FEWEST_REQUESTS, MOST_REQUESTS = 60.0, 3000, 20_000
NOT_ASKED = "--no-verify"
NO_LENGTHS = "its workload states no lengths of prompts and answers"


@dataclass(frozen=True, slots=True)
class Verification:
    """What was tried: the trials by the option's cell, and of others why not (``untried``).

    ``skipped`` says why nothing was.
    """

    checks: Mapping[str, Check] = field(default_factory=dict)
    untried: Mapping[str, str] = field(default_factory=dict)
    skipped: str | None = None

    def why_not(self, option: Option) -> str | None:
        """Why the option was not tried; None where it was."""
        if option.point.cell_id in self.checks:
            return None
        return self.skipped or self.untried.get(option.point.cell_id, "no cheaper as planned")


def verified(
    answer: Answer, demand: Demand, known: Known, *, wanted: bool | None
) -> tuple[Answer, Verification]:
    """The answer with its options sized by trials, and the trials.

    ``wanted`` True tries all the next best too, None what is as cheap as the best that was tried and a few more; False
    nothing.
    UsageError where trials are wanted and cannot be made.
    """
    if wanted is False:
        return answer, Verification(skipped=NOT_ASKED)
    if known.lengths is None:
        if wanted:
            raise UsageError(f"no fleet can be tried: {NO_LENGTHS}; leave --verify out")
        return answer, Verification(skipped=NO_LENGTHS)
    return _tried(answer, demand, known, known.lengths, everything=bool(wanted))


def _tried(
    answer: Answer, demand: Demand, known: Known, lengths: Lengths, *, everything: bool
) -> tuple[Answer, Verification]:
    from harness.capacity.check import settle
    from harness.capacity.fleet import Excluded, place, ranked
    from harness.load.slo import Slo

    checks, untried, excluded = {}, {}, list(answer.excluded)
    options: list[Option] = []
    dearer = 0
    slo = Slo.parse(known.slo)
    for number, option in enumerate(answer.options):
        cell_id = option.point.cell_id
        # Trials make a measured plan larger, never smaller: what is dearer as planned stays dearer. One that a
        # forecast sized may lose a replica; --verify finds that.
        surpassed = any(place(found) < place(option) for found in options if found.point.cell_id in checks)
        dearer += surpassed
        if surpassed and (number >= MOST_TRIED or not (everything or dearer <= NEXT_TRIED)):
            options.append(option)
            continue
        _say(f"trying in virtual time: {option.point.label} ({number + 1} of {len(answer.options)})")
        try:
            cell = replace(known.cells[cell_id], replicas=1)
            found, check = settle(option, demand, slo, _fleet(cell, lengths, known))
        except UsageError as error:
            options.append(option)
            untried[cell_id] = str(error)
            continue
        if check.is_met:
            options.append(found)
            checks[cell_id] = check
        else:
            excluded.append(
                Excluded(option.point.label, f"{check.kept.replicas} replicas: {check.kept.miss}")
            )
    _say("")
    return replace(answer, options=ranked(options), excluded=tuple(excluded)), Verification(checks, untried)


def _say(text: str) -> None:
    """A line that the next one overwrites, on a terminal alone."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)


def _fleet(cell: Cell, lengths: Lengths, known: Known) -> Callable[[int, float], Trace]:
    """Fleets of a cell in virtual time, behind a router that spreads requests at random; always the same seed."""
    from harness.simulator.fleet import run_fleet

    def run(replicas: int, rate_req_s: float) -> Trace:
        requests = int(min(max(TRIAL_S * rate_req_s, FEWEST_REQUESTS), MOST_REQUESTS))
        load = lengths.load(rate_req_s, requests=requests)
        return run_fleet(
            cell,
            load,
            replicas=replicas,
            model_config=known.models.get(cell.model),
            constants=known.calibrations.constants(cell.gpu_type, cell.engine_version),
        )

    return run
