"""What ``harness capacity`` says: the answer as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.cli.capacity_tried import cheaper_lines, check_json, tried_lines
from harness.units import counted

if TYPE_CHECKING:
    from harness.capacity.fleet import Answer, Demand, Option
    from harness.cli.capacity_known import Known
    from harness.cli.capacity_trial import Verification
    from harness.results.prices import PriceTable

SHOWN = 10
BEYOND = "these may carry more, as higher loads measured, or --basis both, would tell"


def render(
    answer: Answer,
    demand: Demand,
    known: Known,
    *,
    prices: PriceTable | None,
    token_price: float | None,
    trials: Verification,
) -> str:
    """The answer as text: what to rent, what comes next, what is no option, and what was assumed."""
    from harness.capacity.fleet import FORECAST

    best = answer.best
    slo = known.slo
    lines = [] if known.basis is None else [known.basis, ""]
    if best is None:
        lines.append(f"Nothing known serves {_wanted(demand, known)} within {slo}")
    else:
        lines += [f"For {_wanted(demand, known)} within {slo}:", "", f"  {_sentence(best, prices)}", ""]
        lines += [f"  {name:<10} {text}" for name, text in _particulars(best)]
        if token_price is not None:
            lines.append(f"  {'break-even':<10} {_break_even(best, token_price, prices)}")
        lines += [f"  {'tried':<10} {text}" for text in tried_lines(best, demand, trials)]
        if best.point.cell_id in trials.checks and not (known.simulated or known.calibrations.found):
            lines.append(f"  {'':<10} with the constants that ship; --calibration DIR takes a sweep's own")
        cheaper = cheaper_lines(answer, demand, trials, prices)
        lines += ["", "No dearer, and not enough:", *(f"  {text}" for text in cheaper)] if cheaper else []
    if len(answer.options) > 1:
        lines += ["", "Next best:"]
        lines += [
            f"  {_sentence(option, prices)}{_untried(option, trials)}" for option in answer.options[1:SHOWN]
        ]
    if open_ended := sum(
        option.is_open_ended for option in answer.options if option.point.source != FORECAST
    ):
        lines += ["", f"Measurements end within the SLO in {counted(open_ended, 'cell')}: {BEYOND}"]
    if answer.excluded:
        lines += ["", "No option:"]
        lines += [f"  {excluded.label}: {excluded.reason}" for excluded in answer.excluded]
    lines += ["", *_assumptions(demand, prices)]
    return "\n".join(lines)


def _untried(option: Option, trials: Verification) -> str:
    reason = None if trials.skipped else trials.why_not(option)
    return "" if reason is None else f", not tried: {reason}"


def _wanted(demand: Demand, known: Known) -> str:
    if demand.rate_req_s is not None:
        turns = ", each turn of a conversation being one," if known.in_turns else ""
        return f"{demand.rate_req_s:g} requests/s{turns}"
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
    trials: Verification,
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
        "in_turns": known.in_turns,
        "currency": None if prices is None else prices.currency,
        "prices": None if prices is None else f"{prices.what} ({prices.as_of})",
        "options": [_option_json(option, trials) for option in answer.options],
        "excluded": [{"label": excluded.label, "reason": excluded.reason} for excluded in answer.excluded],
    }
    return plain_json(document, indent=2) + "\n"


def _option_json(option: Option, trials: Verification) -> dict[str, Any]:
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
        "check": check_json(trials.checks.get(point.cell_id)),
        "not_tried": trials.why_not(option),
    }
