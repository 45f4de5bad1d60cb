"""``harness capacity``: what to rent for a rate and an SLO, from what was measured or from a forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.capacity.fleet import Answer, Demand, Excluded, MeasuredPoint, Option
    from harness.results.prices import PriceTable

SHOWN = 10


@click.command("capacity")
@click.argument("source", metavar="DIR|CONFIG", type=click.Path(path_type=Path))
@click.option("--rate", type=float, metavar="R", help="Requests per second to serve, on average.")
@click.option("--users", type=float, metavar="N", help="Users instead of a rate; see --think-time.")
@click.option(
    "--think-time", default="0s", metavar="T", show_default=True, help="A user's pause before asking again."
)
@click.option(
    "--slo", metavar="SLO", help="'ttft_p95<=1s,tpot_p95<=60ms', or a preset's name  [the sweep's own]"
)
@click.option(
    "--prices", type=click.Path(path_type=Path), metavar="FILE", help="Hourly prices  [the sweep's own]"
)
@click.option(
    "--utilisation", type=float, default=0.8, show_default=True, help="Share of its capacity to plan for."
)
@click.option("--spare", type=int, default=0, show_default=True, help="Replicas that may fail (1 is N+1).")
@click.option("--burst", type=float, default=1.0, show_default=True, help="Peak rate over the mean rate.")
@click.option(
    "--token-price", type=float, metavar="P", help="Price of 1M output tokens elsewhere, for break-even."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(
    source: Path,
    rate: float | None,
    users: float | None,
    think_time: str,
    slo: str | None,
    prices: Path | None,
    utilisation: float,
    spare: int,
    burst: float,
    token_price: float | None,
    as_json: bool,
) -> int:
    """Say which GPU, how many and how many replicas serve a rate within an SLO at the lowest price.

    From the points measured in DIR or, before anything was paid for, from a forecast of each cell of CONFIG (one
    replica, Poisson arrivals; a quarter off either way is usual). Ends with 1 when nothing will do. Replicas are
    taken to add up. Without prices, fewest GPUs come first.

    \b
    harness capacity results/demo --rate 10 --slo 'ttft_p95<=1s,tpot_p95<=60ms' --prices configs/prices.yaml
    harness capacity results/demo --users 200 --think-time 30s --spare 1
    harness capacity configs/demo.yaml --rate 10
    """
    from harness.capacity.fleet import Demand, recommend
    from harness.results.store import load_prices
    from harness.units import parse_duration

    try:
        think_s = parse_duration(think_time)
    except ValueError as error:
        raise UsageError(str(error)) from error
    demand = Demand(
        rate_req_s=rate, users=users, think_s=think_s, burst=burst, spare=spare, utilisation=utilisation
    )
    known = _forecast(source, slo) if source.is_file() else _measured(source, slo)
    table = load_prices(prices) if prices is not None else known.prices
    answer = recommend(known.points, demand, prices=table)
    answer = replace(answer, excluded=(*answer.excluded, *known.excluded))
    if as_json:
        click.echo(_json(answer, demand, known.slo, table, simulated=known.simulated), nl=False)
    else:
        click.echo(render(answer, demand, known, prices=table, token_price=token_price))
    return 0 if answer.best is not None else 1


@dataclass(frozen=True, slots=True)
class Known:
    """What the answer is drawn from. ``basis`` is a line on what kind of figures these are, None for measurements."""

    points: Sequence[MeasuredPoint]
    excluded: Sequence[Excluded]
    slo: str
    prices: PriceTable | None
    simulated: bool
    basis: str | None


def _measured(folder: Path, slo: str | None) -> Known:
    """The points of a run folder, judged against the SLO."""
    from harness.capacity.measured import measured_points
    from harness.load.slo import Slo
    from harness.results.frame import join_repeats, load

    run = load(folder)
    text = _objective(slo or run.resolved.slo)
    simulated = run.resolved.simulated
    levels = join_repeats(run.points_against(Slo.parse(text)))
    points = measured_points(levels, Slo.parse(text), simulated=simulated)
    basis = (
        "SIMULATED: these figures come from a model of the hardware, not from hardware" if simulated else None
    )
    return Known(points, (), text, run.resolved.prices, simulated, basis)


def _forecast(path: Path, slo: str | None) -> Known:
    """The forecast of every cell of a sweep file, each set of parameters once, whatever its replicas."""
    from harness.capacity.fleet import Excluded
    from harness.capacity.forecasted import Lengths, forecast_points
    from harness.load.lengths import mean_length
    from harness.load.slo import Slo
    from harness.plan.config import load_config
    from harness.plan.lint import read_model_config
    from harness.plan.matrix import expand
    from harness.sweep.loads import lengths

    config = load_config(str(path))
    if config.workload.prompts is not None or config.workload.in_turns:
        raise UsageError(f"{path}: given prompts and conversations are not forecast; measure first, then ask")
    text = _objective(slo or config.slo)
    models = {model: read_model_config(file) for model, file in config.models.items()}
    means = [
        mean_length(lengths(length))
        for length in (config.workload.input_tokens, config.workload.output_tokens)
    ]
    points: list[MeasuredPoint] = []
    excluded: list[Excluded] = []
    for cell in {each.id: each for each in (replace(cell, replicas=1) for cell in expand(config))}.values():
        found = forecast_points(cell, Lengths(*means), Slo.parse(text), model_config=models.get(cell.model))
        if isinstance(found, Excluded):
            excluded.append(found)
        else:
            points += found
    basis = "FORECAST: nothing was measured; expect a quarter either way"
    return Known(points, excluded, text, None, False, basis)


def _objective(slo: str | None) -> str:
    if slo is None:
        raise UsageError("the sweep has no SLO of its own; give one: --slo 'ttft_p95<=1s,tpot_p95<=60ms'")
    return slo


def render(
    answer: Answer,
    demand: Demand,
    known: Known,
    *,
    prices: PriceTable | None,
    token_price: float | None,
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
    text = f"{option.replicas} replica{'s' if option.replicas != 1 else ''} of {point.label}"
    if option.price_per_h is not None and prices is not None:
        text += f": {option.price_per_h:.2f} {prices.currency}/h, {option.price_per_month:,.0f} a month"
        if option.cost_per_mtok is not None:
            text += f", {option.cost_per_mtok:.2f} per 1M output tokens"
    return f"{text} ({option.gpus} GPU{'s' if option.gpus != 1 else ''}, {option.used:.0%} used)"


def _particulars(option: Option) -> list[tuple[str, str]]:
    point = option.point
    return [
        ("carries", f"{option.per_replica_req_s:.2f} requests/s a replica, {point.source} at {point.load}"),
        (
            "headroom",
            f"{1 - option.used:.0%} of what the fleet carried is left at {option.mean_rate_req_s:.2f} req/s",
        ),
        ("limit", option.binding),
        ("runs", ", ".join(point.run_ids) or "none, a forecast"),
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
        f"{demand.spare} spare; replicas are taken to add up.",
    ]
    if prices is not None:
        lines.append(f"Prices: {prices.what} ({prices.as_of}); start-up time is not in them.")
    return lines


def _json(answer: Answer, demand: Demand, slo: str, prices: PriceTable | None, *, simulated: bool) -> str:
    from harness.results.files import plain_json

    document = {
        "schema_version": 1,
        "simulated": simulated,
        "slo": slo,
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
        "options": [_option_json(option) for option in answer.options],
        "excluded": [{"label": excluded.label, "reason": excluded.reason} for excluded in answer.excluded],
    }
    return plain_json(document, indent=2) + "\n"


def _option_json(option: Option) -> dict[str, Any]:
    point = option.point
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
        "run_ids": list(point.run_ids),
    }
