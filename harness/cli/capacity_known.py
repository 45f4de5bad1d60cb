"""What an answer of ``harness capacity`` is drawn from: a run's measurements, forecasts of cells, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.calibrating import calibration_lines
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.capacity.fleet import Excluded, MeasuredPoint
    from harness.capacity.forecasted import Lengths
    from harness.forecast.calibration import Calibrations
    from harness.plan.cells import Cell
    from harness.results.frame import Run
    from harness.results.prices import PriceTable

SIMULATED = "SIMULATED: these figures come from a model of the hardware, not from hardware"
FORECAST_ONLY = "FORECAST: nothing was measured; expect a quarter either way"
FORECAST_TOO = "FORECAST where nothing was measured: expect a quarter either way there"


@dataclass(frozen=True, slots=True)
class Known:
    """What the answer is drawn from. ``basis`` is a line on what kind of figures these are, None for measurements.

    ``cells`` by id, ``lengths`` and ``models`` (config.json by model) are what a forecast or a trial needs; lengths
    are None where the workload has none that could be forecast. ``in_turns``: it was of conversations.
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
    in_turns: bool = False


def known_from(source: Path, slo: str | None, basis: str | None, calibrations: Calibrations) -> Known:
    """What a run folder's measurements or a sweep file's forecasts say; UsageError for a basis it does not have."""
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
        in_turns=bool(run.resolved.workload.get("conversations")),
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
