"""The fleets that ``harness capacity --verify`` tries in virtual time before it recommends one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.capacity.check import Check, Trace
    from harness.capacity.fleet import Answer, Demand
    from harness.capacity.forecasted import Lengths
    from harness.cli.capacity_known import Known
    from harness.plan.cells import Cell

SETTLED = 10  # options that are tried in virtual time; those after them are dearer
TRIAL_S, FEWEST_REQUESTS, MOST_REQUESTS = 60.0, 3000, 20_000


def verified(answer: Answer, demand: Demand, known: Known) -> tuple[Answer, dict[str, Check]]:
    """The answer with its first options sized by trials in virtual time, and the trials by the options' cell."""
    from harness.capacity.check import settle
    from harness.capacity.fleet import Excluded, ranked
    from harness.load.slo import Slo

    lengths, checks, options, excluded = known.lengths, {}, [], list(answer.excluded)
    if lengths is None:
        raise UsageError("the run's workload has no lengths to try a fleet with; leave --verify out")
    for option in answer.options[:SETTLED]:
        cell = replace(known.cells[option.point.cell_id], replicas=1)
        fleet = _fleet(cell, lengths, known)
        try:
            found, check = settle(option, demand, Slo.parse(known.slo), fleet)
        except UsageError as error:
            excluded.append(Excluded(option.point.label, f"not tried: {error}"))
            continue
        if check.is_met:
            options.append(found)
            checks[option.point.cell_id] = check
        else:
            excluded.append(
                Excluded(option.point.label, f"{check.kept.replicas} replicas: {check.kept.miss}")
            )
    left = [Excluded(option.point.label, "dearer, and not tried") for option in answer.options[SETTLED:]]
    return replace(answer, options=ranked(options), excluded=(*excluded, *left)), checks


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
