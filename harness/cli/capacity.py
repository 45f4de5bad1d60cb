"""``harness capacity``: what to rent for a rate and an SLO, from what was measured or from a forecast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from harness.cli.calibrating import calibration_option, read_calibrations
from harness.cli.completing import slo_presets
from harness.errors import UsageError


@click.command("capacity")
@click.argument("source", metavar="DIR|CONFIG", type=click.Path(path_type=Path))
@click.option("--rate", type=float, metavar="R", help="Requests per second to serve, on average.")
@click.option("--users", type=float, metavar="N", help="Users instead of a rate; see --think-time.")
@click.option(
    "--think-time", default="0s", metavar="T", show_default=True, help="A user's pause before asking again."
)
@click.option(
    "--slo",
    metavar="SLO",
    shell_complete=slo_presets,
    help="'ttft_p95<=1s,tpot_p95<=60ms', or a preset's name  [the sweep's own]",
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
@click.option(
    "--basis",
    type=click.Choice(["measured", "forecast", "both"]),
    help="What to draw on: measurements, forecasts, or forecasts where measurements end  [measured in DIR]",
)
@calibration_option
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Try all fleets shown in virtual time, or none  [the answer and what is as cheap]",
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
    basis: str | None,
    calibration: Path | None,
    verify: bool | None,
    as_json: bool,
) -> int:
    """Say which GPU, how many and how many replicas serve a rate within an SLO at the lowest price.

    From the points measured in DIR or, before anything was paid for, from a forecast of each cell of CONFIG (one
    replica, Poisson arrivals; a quarter off either way is usual). With --basis both, the forecast goes on where the
    highest load that was measured still kept the SLO, and stands in for cells of DIR that were not measured. Ends
    with 1 when nothing will do. Without prices, fewest GPUs come first.

    A fleet is sized for the mean rate times --burst over --utilisation, replicas taken to add up. Then it has to keep
    the SLO at that rate in virtual time: random arrivals, spread over replicas at random, the spare ones down. It is
    enlarged until it does (made smaller only where a forecast sized it), and one replica fewer is tried too. So is
    what is as cheap as planned; --verify tries the next best besides, --no-verify nothing. With --utilisation 1 the
    answer is the fewest replicas for the rate itself, no headroom left. Requests of conversations are their turns.

    \b
    harness capacity results/demo --rate 10 --slo 'ttft_p95<=1s,tpot_p95<=60ms' --prices configs/prices.yaml
    harness capacity results/demo --users 200 --think-time 30s --spare 1
    harness capacity results/demo --rate 60 --basis both --verify
    harness capacity configs/demo.yaml --rate 10
    harness capacity configs/demo.yaml --rate 10 --calibration results/demo
    """
    from harness.capacity.fleet import Demand, recommend
    from harness.cli.capacity_known import known_from
    from harness.cli.capacity_text import as_json_text, render
    from harness.cli.capacity_trial import verified
    from harness.results.price_file import load_prices
    from harness.units import parse_duration

    try:
        think_s = parse_duration(think_time)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if (rate is None) == (users is None):
        raise UsageError(
            "say what is to be served, either --rate R (requests per second) or --users N (with --think-time T): "
            f"harness capacity {source} --rate 10"
        )
    demand = Demand(
        rate_req_s=rate, users=users, think_s=think_s, burst=burst, spare=spare, utilisation=utilisation
    )
    known = known_from(source, slo, basis, read_calibrations(calibration))
    table = load_prices(prices) if prices is not None else known.prices
    answer = recommend(known.points, demand, prices=table)
    answer = replace(answer, excluded=(*answer.excluded, *known.excluded))
    answer, trials = verified(answer, demand, known, wanted=verify)
    if as_json:
        click.echo(as_json_text(answer, demand, known, table, trials=trials), nl=False)
    else:
        click.echo(render(answer, demand, known, prices=table, token_price=token_price, trials=trials))
    return 0 if answer.best is not None else 1
