"""What ``harness capacity`` says of the fleets that it tried in virtual time, and of those that it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.cli.capacity_trial import NOT_ASKED
from harness.units import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.capacity.check import Check, Trial
    from harness.capacity.fleet import Answer, Demand, Option
    from harness.cli.capacity_trial import Verification
    from harness.results.prices import PriceTable


def tried_lines(best: Option, demand: Demand, trials: Verification) -> list[str]:
    """What the trials say of the best option, first of what is proposed and then of one replica fewer."""
    reason = trials.why_not(best)
    if reason is not None:
        how = ": leave it out to have the fleet tried" if reason == NOT_ASKED else ""
        return [f"NOT TRIED ({reason}{how}): requests at random moments may need more than is planned here"]
    check = trials.checks[best.point.cell_id]
    spares = f", its {demand.spare} spare down" if demand.spare else ""
    lines = [
        f"in virtual time, requests at random moments to replicas at random{spares}: "
        f"{_told(check.kept)} at {_peak(best, demand)}"
    ]
    if check.kept.replicas != check.planned:
        lines.append(f"instead of the {check.planned} planned")
    if check.fewer is not None:
        lines.append(_fewer(best, check, check.fewer, demand))
    if check.untried:
        lines.append(f"not tried: {', '.join(map(str, check.untried))}")
    return lines


def _peak(option: Option, demand: Demand) -> str:
    """``62.50 requests/s, of which 50.00 are 80 %``: why a fleet is tried at more than was asked for."""
    peak, wanted = demand.peak(option.mean_rate_req_s), option.mean_rate_req_s * demand.burst
    share = f", of which {wanted:.2f} are the {demand.utilisation:.0%} planned for"
    return f"{peak:.2f} requests/s{share if demand.utilisation < 1 else ''}"


def _fewer(best: Option, check: Check, fewer: Trial, demand: Demand) -> str:
    """One replica fewer: that it misses the SLO, or why it is not proposed though it keeps it."""
    if fewer.miss is not None:
        return f"{_told(fewer)}{_without_headroom(check, fewer)}"
    carried = fewer.replicas * best.per_replica_req_s
    wanted = best.mean_rate_req_s * demand.burst
    more = "; a higher load measured, or --basis both, may show that it carries more"
    were = "it was" if fewer.replicas == 1 else "they were"
    return (
        f"{_told(fewer)} too, in the model. Not proposed: {were} {best.point.source} to carry {carried:.2f} "
        f"requests/s, of which {wanted:.2f} would be {wanted / carried:.0%}, above the "
        f"{demand.utilisation:.0%} planned for{more if best.is_open_ended else ''}"
    )


def _without_headroom(check: Check, fewer: Trial) -> str:
    """What the fleet that misses at the peak makes of the demand itself, where that is less."""
    found = check.fewer_at_demand
    if found is None or found.rate_req_s == fewer.rate_req_s:
        return ""
    one, kept = found.replicas == 1, found.miss is None
    verb = ("it keeps it" if one else "they keep it") if kept else ("it misses it" if one else "they miss it")
    return f"; at {found.rate_req_s:.2f}, with no headroom, {verb} ({found.miss or _reached(found)})"


def cheaper_lines(
    answer: Answer, demand: Demand, trials: Verification, prices: PriceTable | None
) -> Sequence[str]:
    """Every fleet no dearer than the best that was tried and missed the SLO, the largest of its kind."""
    from harness.capacity.fleet import place

    best, lines = answer.best, []
    for option in answer.options[1:]:
        check = trials.checks.get(option.point.cell_id)
        if best is None or check is None or check.fewer is None or check.fewer.miss is None:
            continue
        smaller = option.resized(check.fewer.replicas + demand.spare)
        # By price, or without prices by GPUs.
        if place(smaller)[:2] <= place(best)[:2]:
            price = ""
            if smaller.price_per_h is not None and prices is not None:
                price = f", {smaller.price_per_h:.2f} {prices.currency}/h"
            told = f"{_told(check.fewer)} at {check.fewer.rate_req_s:.2f} requests/s"
            lines.append(f"{option.point.label}{price}: {told}{_without_headroom(check, check.fewer)}")
    return lines


def _told(trial: Trial) -> str:
    """``2 replicas miss the SLO (ttft_p95 1410 ms > 1000 ms)``."""
    one, subject = trial.replicas == 1, counted(trial.replicas, "replica")
    if trial.miss is not None:
        return f"{subject} miss{'es' if one else ''} the SLO ({trial.miss})"
    return f"{subject} keep{'s' if one else ''} the SLO ({_reached(trial)})"


def _reached(trial: Trial) -> str:
    return ", ".join(bound.reached(value) for bound, value in trial.reached)


def check_json(check: Check | None) -> dict[str, Any] | None:
    """The trials for a program; None where there were none."""
    if check is None:
        return None
    return {
        "planned": check.planned,
        "kept": _trial_json(check.kept),
        "fewer": _trial_json(check.fewer),
        "fewer_at_demand": _trial_json(check.fewer_at_demand),
    }


def _trial_json(trial: Trial | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    return {
        "replicas": trial.replicas,
        "rate_req_s": trial.rate_req_s,
        "reached_s": {f"{bound.metric}_p{bound.percentile:g}": value for bound, value in trial.reached},
        "miss": trial.miss,
    }
