"""``harness capacity``: what to rent for a rate and an SLO, from what was measured or from a forecast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.calibrating import calibration_lines, calibration_option, read_calibrations
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.capacity.check import Check, Trace
    from harness.capacity.fleet import Answer, Demand, Excluded, MeasuredPoint
    from harness.capacity.forecasted import Lengths
    from harness.forecast.calibration import Calibrations
    from harness.plan.cells import Cell
    from harness.results.frame import Run
    from harness.results.prices import PriceTable

SETTLED = 10  # options that are tried in virtual time; those after them are dearer
SIMULATED = "SIMULATED: these figures come from a model of the hardware, not from hardware"
FORECAST_ONLY = "FORECAST: nothing was measured; expect a quarter either way"
FORECAST_TOO = "FORECAST where nothing was measured: expect a quarter either way there"
TRIAL_S, FEWEST_REQUESTS, MOST_REQUESTS = 60.0, 3000, 20_000


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
@click.option(
    "--basis",
    type=click.Choice(["measured", "forecast", "both"]),
    help="What to draw on: measurements, forecasts, or forecasts where measurements end  [measured in DIR]",
)
@calibration_option
@click.option("--verify", is_flag=True, help="Try each fleet in virtual time, and size it by that.")
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
    verify: bool,
    as_json: bool,
) -> int:
    """Say which GPU, how many and how many replicas serve a rate within an SLO at the lowest price.

    From the points measured in DIR or, before anything was paid for, from a forecast of each cell of CONFIG (one
    replica, Poisson arrivals; a quarter off either way is usual). With --basis both, the forecast goes on where the
    highest load that was measured still kept the SLO, and stands in for cells of DIR that were not measured. Ends
    with 1 when nothing will do. Without prices, fewest GPUs come first.

    A fleet is sized for the mean rate times --burst over --utilisation, replicas taken to add up. With --verify it
    also has to keep the SLO at that rate in virtual time: random arrivals, spread over replicas at random, the spare
    ones down. It is enlarged until it does (made smaller only where a forecast sized it), and one replica fewer is
    tried too. With --utilisation 1 that is the fewest replicas for the rate itself, no headroom left.

    \b
    harness capacity results/demo --rate 10 --slo 'ttft_p95<=1s,tpot_p95<=60ms' --prices configs/prices.yaml
    harness capacity results/demo --users 200 --think-time 30s --spare 1
    harness capacity results/demo --rate 60 --basis both --verify
    harness capacity configs/demo.yaml --rate 10
    harness capacity configs/demo.yaml --rate 10 --calibration results/demo
    """
    from harness.capacity.fleet import Demand, recommend
    from harness.cli.capacity_text import as_json_text, render
    from harness.results.store import load_prices
    from harness.units import parse_duration

    try:
        think_s = parse_duration(think_time)
    except ValueError as error:
        raise UsageError(str(error)) from error
    demand = Demand(
        rate_req_s=rate, users=users, think_s=think_s, burst=burst, spare=spare, utilisation=utilisation
    )
    known = _known(source, slo, basis, read_calibrations(calibration))
    table = load_prices(prices) if prices is not None else known.prices
    answer = recommend(known.points, demand, prices=table)
    answer = replace(answer, excluded=(*answer.excluded, *known.excluded))
    checks: dict[str, Check] = {}
    if verify:
        answer, checks = verified(answer, demand, known)
    if as_json:
        click.echo(as_json_text(answer, demand, known, table, checks=checks), nl=False)
    else:
        click.echo(render(answer, demand, known, prices=table, token_price=token_price, checks=checks))
    return 0 if answer.best is not None else 1


@dataclass(frozen=True, slots=True)
class Known:
    """What the answer is drawn from. ``basis`` is a line on what kind of figures these are, None for measurements.

    ``cells`` by id, ``lengths`` and ``models`` (config.json by model) are what a forecast or a trial needs; lengths
    are None where the workload has none that could be forecast.
    """

    points: Sequence[MeasuredPoint]
    excluded: Sequence[Excluded]
    slo: str
    prices: PriceTable | None
    simulated: bool
    basis: str | None
    cells: Mapping[str, Cell]
    lengths: Lengths | None
    models: Mapping[str, Mapping[str, object]]
    calibrations: Calibrations


def _known(source: Path, slo: str | None, basis: str | None, calibrations: Calibrations) -> Known:
    if source.is_file():
        if basis not in (None, "forecast"):
            raise UsageError(f"'{source}' is a sweep file: nothing was measured; name a results folder")
        return _forecast(source, slo, calibrations)
    return _measured(source, slo, basis or "measured", calibrations)


def _measured(folder: Path, slo: str | None, basis: str, calibrations: Calibrations) -> Known:
    """The points of a run folder, judged against the SLO, with forecasts as far as the basis asks for them."""
    from harness.capacity.measured import measured_points
    from harness.load.slo import Slo
    from harness.results.frame import join_repeats, load

    run = load(folder)
    text = _objective(slo or run.resolved.slo)
    simulated = run.resolved.simulated
    levels = join_repeats(run.points_against(Slo.parse(text)))
    words = [SIMULATED] if simulated and basis != "forecast" else []
    words += {"both": [FORECAST_TOO], "forecast": [FORECAST_ONLY]}.get(basis, [])
    words += calibration_lines(run.resolved.cells, calibrations) if basis != "measured" else []
    known = Known(
        points=measured_points(levels, Slo.parse(text), simulated=simulated) if basis != "forecast" else [],
        excluded=(),
        slo=text,
        prices=run.resolved.prices,
        simulated=simulated,
        basis="\n".join(words) or None,
        cells={cell.id: cell for cell in run.resolved.cells},
        lengths=_lengths_of(run.resolved.workload),
        models=_models_of(run),
        calibrations=calibrations,
    )
    return known if basis == "measured" else _with_forecasts(known)


def _with_forecasts(known: Known) -> Known:
    """Known with the forecast of every cell whose measurements do not say where it ends."""
    from harness.capacity.combined import combined
    from harness.capacity.forecasted import forecast_points
    from harness.forecast.known import KnownLevels
    from harness.load.slo import Slo

    lengths, levels = known.lengths, KnownLevels()
    if lengths is None:
        raise UsageError("the run's workload has no lengths to forecast with; use --basis measured")

    def forecast(cell_id: str) -> list[MeasuredPoint] | Excluded:
        cell = replace(known.cells[cell_id], replicas=1)
        return forecast_points(
            cell,
            lengths,
            Slo.parse(known.slo),
            model_config=known.models.get(cell.model),
            constants=known.calibrations.constants(cell.gpu_type, cell.engine_version),
            known=levels,
        )

    points, excluded = combined(known.cells, known.points, forecast)
    return replace(known, points=points, excluded=excluded)


def _lengths_of(workload: Mapping[str, object]) -> Lengths | None:
    """The lengths a run's workload asked for; None for prompts that somebody gave, and for conversations."""
    from harness.capacity.forecasted import Lengths
    from harness.load.lengths import lengths_from_json

    if workload.get("items") or workload.get("conversations"):
        return None
    given = [workload.get(name) for name in ("input_tokens", "output_tokens")]
    return None if None in given else Lengths.of(*map(lengths_from_json, given))


def _models_of(run: Run) -> dict[str, Mapping[str, object]]:
    """The models that the run's own sweep file describes, as far as their files are still where it says."""
    from harness.errors import HarnessError
    from harness.plan.config import load_config
    from harness.plan.lint import read_model_config

    path = run.folder.path / "config.yaml"
    try:
        models = load_config(str(path)).models
        return {model: read_model_config(file) for model, file in models.items()}
    except HarnessError:
        return {}  # a run folder that was moved; the packaged table of models may know them


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


def _forecast(path: Path, slo: str | None, calibrations: Calibrations) -> Known:
    """The forecast of every cell of a sweep file, each set of parameters once, whatever its replicas."""
    from harness.capacity.fleet import Excluded
    from harness.capacity.forecasted import Lengths, forecast_points
    from harness.forecast.known import KnownLevels
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
    sizes, levels = Lengths(*means), KnownLevels()
    cells = {each.id: each for each in (replace(cell, replicas=1) for cell in expand(config))}
    for cell in cells.values():
        found = forecast_points(
            cell,
            sizes,
            Slo.parse(text),
            model_config=models.get(cell.model),
            constants=calibrations.constants(cell.gpu_type, cell.engine_version),
            known=levels,
        )
        if isinstance(found, Excluded):
            excluded.append(found)
        else:
            points += found
    basis = "\n".join([FORECAST_ONLY, *calibration_lines(cells.values(), calibrations)])
    return Known(points, excluded, text, None, False, basis, cells, sizes, models, calibrations)


def _objective(slo: str | None) -> str:
    if slo is None:
        raise UsageError("the sweep has no SLO of its own; give one: --slo 'ttft_p95<=1s,tpot_p95<=60ms'")
    return slo
