"""What every cell of a plan should do at its load levels, before anything is deployed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.forecast.calibration import Calibration, Calibrations, constants_of
from harness.forecast.cell import Forecast, forecast_cell
from harness.forecast.known import KnownLevels
from harness.forecast.load import Arrivals, Load
from harness.forecast.memory import largest_max_model_len, largest_max_num_seqs
from harness.load.lengths import mean_length
from harness.plan.cells import Cell
from harness.plan.config import LoadLevel, SearchLevel, SweepConfig
from harness.plan.engine import CellEngine, UnknownEngine, engine_of
from harness.sweep.loads import arrivals, first_of, lengths

ARRIVALS = {"constant": Arrivals.CONSTANT}
NONE = Calibrations()


@dataclass(frozen=True, slots=True)
class CellForecast:
    """A cell's forecast, the engine it is of and whose constants it is by, or the reason why there is none."""

    forecast: Forecast | None
    reason: str | None = None
    engine: CellEngine | None = None
    calibration: Calibration | None = None

    def to_json(self) -> dict[str, Any]:
        """Milliseconds and tokens per second per level; latencies are means."""
        if self.forecast is None:
            return {"reason": self.reason}
        return {
            "interval": self.forecast.interval,
            "calibration": None if self.calibration is None else self.calibration.told,
            "kv_cache_tokens": self.forecast.memory.tokens,
            **self._largest(),
            "levels": [
                {
                    "arrivals": level.load.arrivals.value,
                    "level": level.load.level,
                    "ttft_ms": _ms(level.ttft_s.mean),
                    "tpot_ms": _ms(level.tpot_s.mean),
                    "output_throughput_tok_s": level.output_throughput,
                    "binding": level.binding.value,
                }
                for level in self.forecast.levels
            ],
        }

    def _largest(self) -> dict[str, int]:
        """The longest max-model-len, and the largest max-num-seqs, that still start, everything else as it is."""
        if self.engine is None:
            return {}
        each = (self.engine.model, self.engine.gpu, self.engine.settings)
        return {
            "largest_max_model_len": largest_max_model_len(*each),
            "largest_max_num_seqs": largest_max_num_seqs(*each),
        }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000.0


def forecast_cells(
    config: SweepConfig,
    cells: Iterable[Cell],
    models: Mapping[str, Mapping[str, Any]],
    calibrations: Calibrations = NONE,
) -> dict[str, CellForecast]:
    """The forecast of each cell, by cell id; searches are left out of it.

    With the constants that were fitted for the cell's GPU family and engine version, where there are any.
    """
    reason = unforecast(config)
    if reason is not None:
        return {cell.id: CellForecast(None, reason) for cell in cells}
    loads = [load for level in config.load if (load := load_of(level, config)) is not None]
    known = KnownLevels()
    return {
        cell.id: forecast(
            cell,
            loads,
            models.get(cell.model),
            seed=config.workload.seed,
            calibration=calibrations.of(cell.gpu_type, cell.engine_version),
            known=known,
        )
        for cell in cells
    }


def forecast(
    cell: Cell,
    loads: list[Load],
    model_config: Mapping[str, Any] | None,
    *,
    seed: int,
    calibration: Calibration | None = None,
    known: KnownLevels | None = None,
) -> CellForecast:
    """One cell at the given loads; ``known`` are the levels of cells before it."""
    engine = engine_of(cell, model_config)
    if isinstance(engine, UnknownEngine):
        return CellForecast(None, engine.reason)
    found = forecast_cell(
        engine.model,
        engine.gpu,
        engine.settings,
        gpu_count=cell.gpu_count,
        replicas=cell.replicas,
        loads=loads,
        seed=seed,
        known=known,
        **constants_of(calibration, engine.settings),
    )
    if found.failure is not None:
        return CellForecast(None, f"would not start: {found.failure.message.partition('. ')[0]}")
    return CellForecast(found, engine=engine, calibration=calibration)


def unforecast(config: SweepConfig) -> str | None:
    """Why nothing can be forecast of a sweep's workload or of any of its levels; None when something can."""
    workload = config.workload
    if workload.in_turns or (workload.prompt_file is not None and workload.prompt_file.has_turns):
        return "conversations are not in the forecast's model"
    if workload.prompts is not None:
        return "the lengths of given prompts are known to the engine alone"
    if all(load_of(level, config) is None for level in config.load):
        return "its model has one load a level, and here they change"
    return None


def left_out(config: SweepConfig) -> list[str]:
    """The labels of levels that are not forecast where others are: their rate changes, or they are searches."""
    if unforecast(config) is not None:
        return []
    left = [level for level in config.load if load_of(level, config) is None]
    return [
        f"find {level.find}" if isinstance(level, SearchLevel) else arrivals(level).label for level in left
    ]


def has_searches(config: SweepConfig) -> bool:
    """True when some loads are found while the sweep runs."""
    return any(isinstance(level, SearchLevel) for level in config.load)


def searched(config: SweepConfig) -> SweepConfig:
    """The sweep with the loads a search may come to in the place of its first: each twice the one before it."""
    levels: list[LoadLevel | SearchLevel] = []
    for level in config.load:
        first = first_of(level)
        steps = level.most_steps if isinstance(level, SearchLevel) else 1
        levels += [_times(first, 2**step) for step in range(steps)]
    return replace(config, load=tuple(levels))


def _times(level: LoadLevel, factor: int) -> LoadLevel:
    if level.concurrency is not None:
        return replace(level, concurrency=level.concurrency * factor)
    return level if level.rate_per_s is None else replace(level, rate_per_s=level.rate_per_s * factor)


def load_of(level: LoadLevel | SearchLevel, config: SweepConfig) -> Load | None:
    """A load level in the forecast's terms, its lengths by their means; None where its load changes.

    A search's first step is none: it says nothing of where the search will go, and cells are judged by forecasts.
    """
    if isinstance(level, SearchLevel) or level.ramp or level.steps or level.trace:
        return None
    shape, amount = Arrivals.CLOSED, float(level.concurrency or 0)
    if level.rate_per_s is not None:
        shape, amount = ARRIVALS.get(level.arrivals, Arrivals.POISSON), level.rate_per_s
    workload = config.workload
    return Load(
        shape,
        amount,
        mean_length(lengths(workload.input_tokens)) + workload.prefix_tokens,
        mean_length(lengths(workload.output_tokens)),
        shared_prefix_tokens=workload.prefix_tokens if workload.prefix_groups == 1 else 0,
    )
