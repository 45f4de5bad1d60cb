"""What ``harness capacity`` says: the answer as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.units import counted

if TYPE_CHECKING:
    from harness.capacity.check import Check, Trial
    from harness.capacity.fleet import Answer, Demand, Option
    from harness.cli.capacity_known import Known
    from harness.results.prices import PriceTable

SHOWN = 10


def render(
    answer: Answer,
    demand: Demand,
    known: Known,
    *,
    prices: PriceTable | None,
    token_price: float | None,
    checks: Mapping[str, Check],
) -> str:
    """The answer as text: what to rent, what comes next, what is no option, and what was assumed."""
    best = answer.best
    slo = known.slo
    lines = [] if known.basis is None else [known.basis, ""]
    if best is None:
        lines.append(f"Nothing known serves {_wanted(demand)} within {slo}")
    else:
        lines += [f"For {_wanted(demand)} within {slo}:", "", f"  {_sentence(best, prices)}", ""]
        lines += [f"  {name:<10} {text}" for name, text in _particulars(best)]
        if token_price is not None:
            lines.append(f"  {'break-even':<10} {_break_even(best, token_price, prices)}")
        if best.point.cell_id in checks:
            lines += [f"  {'checked':<10} {text}" for text in _checked(checks[best.point.cell_id], demand)]
    if len(answer.options) > 1:
        lines += ["", "Next best:"]
        lines += [f"  {_sentence(option, prices)}" for option in answer.options[1:SHOWN]]
    if answer.excluded:
        lines += ["", "No option:"]
        lines += [f"  {excluded.label}: {excluded.reason}" for excluded in answer.excluded]
    lines += ["", *_assumptions(demand, prices)]
    return "\n".join(lines)


def _wanted(demand: Demand) -> str:
    if demand.rate_req_s is not None:
        return f"{demand.rate_req_s:g} requests/s"
    return f"{demand.users:g} users with {demand.think_s:g} s of think time"


def _sentence(option: Option, prices: PriceTable | None) -> str:
    point = option.point
    text = f"{counted(option.replicas, 'replica')} of {point.label}"
    if option.price_per_h is not None and prices is not None:
        text += f": {option.price_per_h:.2f} {prices.currency}/h, {option.price_per_month:,.0f} a month"
        if option.cost_per_mtok is not None:
            text += f", {option.cost_per_mtok:.2f} per 1M output tokens"
    return f"{text} ({counted(option.gpus, 'GPU')}, {option.used:.0%} used)"


def _particulars(option: Option) -> list[tuple[str, str]]:
    point, support = option.point, option.support
    beyond = ""
    if support is not None:
        known = support.rate_req_s / support.replicas
        beyond = f"; {support.source} up to {known:.2f} at {support.load}, the SLO kept"
    runs = point.run_ids if support is None else support.run_ids
    return [
        (
            "carries",
            f"{option.per_replica_req_s:.2f} requests/s a replica, {point.source} at {point.load}{beyond}",
        ),
        (
            "headroom",
            f"{1 - option.used:.0%} of what the fleet carries is left at {option.mean_rate_req_s:.2f} req/s",
        ),
        ("limit", option.binding),
        ("runs", ", ".join(runs) or "none, a forecast"),
    ]


def _checked(check: Check, demand: Demand) -> list[str]:
    """The trials in words, the one with a replica fewer after that of the fleet."""
    spares = f", its {demand.spare} spare down" if demand.spare else ""
    lines = [
        f"in virtual time, spread at random{spares}: {_tried(check.kept)} at {check.kept.rate_req_s:.2f} requests/s"
    ]
    if check.kept.replicas != check.planned:
        lines.append(f"instead of the {check.planned} planned")
    if check.fewer is not None:
        lines.append(_tried(check.fewer))
    if check.untried:
        lines.append(f"not tried: {', '.join(map(str, check.untried))}")
    return lines


def _tried(trial: Trial) -> str:
    """``2 replicas miss it: ttft_p95 1410 ms > 1000 ms``."""
    one = trial.replicas == 1
    subject = f"{trial.replicas} replica{'' if one else 's'}"
    if trial.miss is not None:
        return f"{subject} miss{'es' if one else ''} the SLO ({trial.miss})"
    reached = ", ".join(
        f"{bound.metric}_p{bound.percentile:g} {value * 1000:.0f} ms" for bound, value in trial.reached
    )
    return f"{subject} keep{'s' if one else ''} the SLO ({reached})"


def _break_even(option: Option, token_price: float, prices: PriceTable | None) -> str:
    from harness.capacity.fleet import break_even_req_s

    rate = break_even_req_s(option, price_per_mtok=token_price)
    if rate is None or prices is None:
        return "not known without prices"
    carried = option.replicas * option.per_replica_req_s
    above = f", more than the {carried:.2f} it carries: tokens are cheaper" if rate > carried else ""
    return f"at {token_price:g} {prices.currency} per 1M output tokens, from {rate:.2f} requests/s{above}"


def _assumptions(demand: Demand, prices: PriceTable | None) -> list[str]:
    lines = [
        f"Planned for {demand.utilisation:.0%} of capacity, bursts of {demand.burst:g} x the mean, "
        f"{demand.spare} spare.",
    ]
    if prices is not None:
        lines.append(f"Prices: {prices.what} ({prices.as_of}); start-up time is not in them.")
    return lines


def as_json_text(
    answer: Answer,
    demand: Demand,
    known: Known,
    prices: PriceTable | None,
    *,
    checks: Mapping[str, Check],
) -> str:
    """The answer for a program."""
    from harness.results.files import plain_json

    document = {
        "schema_version": 1,
        "simulated": known.simulated,
        "slo": known.slo,
        "demand": {
            "rate_req_s": demand.rate_req_s,
            "users": demand.users,
            "think_s": demand.think_s,
            "burst": demand.burst,
            "spare": demand.spare,
            "utilisation": demand.utilisation,
        },
        "currency": None if prices is None else prices.currency,
        "prices": None if prices is None else f"{prices.what} ({prices.as_of})",
        "options": [_option_json(option, checks.get(option.point.cell_id)) for option in answer.options],
        "excluded": [{"label": excluded.label, "reason": excluded.reason} for excluded in answer.excluded],
    }
    return plain_json(document, indent=2) + "\n"


def _option_json(option: Option, check: Check | None) -> dict[str, Any]:
    point, support = option.point, option.support
    return {
        "cell_id": point.cell_id,
        "label": point.label,
        "gpu_type": point.gpu_type,
        "gpu_count": point.gpu_count,
        "replicas": option.replicas,
        "gpus": option.gpus,
        "per_replica_req_s": option.per_replica_req_s,
        "mean_rate_req_s": option.mean_rate_req_s,
        "used": option.used,
        "binding": option.binding,
        "price_per_h": option.price_per_h,
        "cost_per_mtok": option.cost_per_mtok,
        "source": point.source,
        "load": point.load,
        "run_ids": list(point.run_ids if support is None else support.run_ids),
        "measured_req_s": None if support is None else support.rate_req_s / support.replicas,
        "check": None
        if check is None
        else {"planned": check.planned, "kept": _trial_json(check.kept), "fewer": _trial_json(check.fewer)},
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
