"""Forecast of one cell: will it start, and what will it do under each load. Pure.

The interval around every figure is what held-out published measurements were off by, not a property of the run:
a quarter either way with the shipped constants; half of that with constants fitted on the same GPU family, where levels
left out of that fit bear it out (``calibration.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.forecast.hardware import Gpu, Link
from harness.forecast.known import KnownLevels, without_limits
from harness.forecast.level import LevelForecast, level_of
from harness.forecast.load import Load
from harness.forecast.memory import MemoryPlan, plan_memory
from harness.forecast.models import ModelFacts
from harness.forecast.settings import EngineSettings, ResolvedSettings
from harness.forecast.startup_check import StartFailure, start_failure
from harness.forecast.step import Constants, StepModel
from harness.forecast.tables import link as link_of
from harness.forecast.trace import Limits
from harness.forecast.virtual import VirtualRun

INTERVAL_DEFAULT = 0.25
INTERVAL_CALIBRATED = 0.12


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a cell should do. ``levels`` is empty when it cannot start. ``interval`` is the relative half-width."""

    failure: StartFailure | None
    memory: MemoryPlan
    settings: ResolvedSettings
    levels: tuple[LevelForecast, ...]
    interval: float

    @property
    def starts(self) -> bool:
        """True when the engine comes up."""
        return self.failure is None


def forecast_cell(
    model: ModelFacts,
    gpu: Gpu,
    settings: EngineSettings,
    *,
    gpu_count: int,
    replicas: int = 1,
    loads: Sequence[Load] = (),
    constants: Constants | None = None,
    link: Link | None = None,
    seed: int = 0,
    interval: float = INTERVAL_DEFAULT,
    known: KnownLevels | None = None,
) -> Forecast:
    """Start-up verdict, memory, and every load level. Replicas share the load evenly, at random.

    ``constants`` are a calibration of this GPU family, with its ``interval``; without them the shipped ones hold.
    ``known`` holds what was forecast of other cells before: it saves runs and changes no figure.
    """
    failure = start_failure(model, gpu, gpu_count, settings)
    memory = plan_memory(model, gpu, settings)
    chosen = settings.resolve(model, gpu)
    if failure is not None:
        return Forecast(failure, memory, chosen, (), interval)
    if link is None and settings.tensor_parallel > 1:
        link = link_of(gpu.link, settings.tensor_parallel)
    steps = StepModel(model, gpu, settings, link=link, constants=constants)
    engines = replicas * settings.data_parallel
    known = KnownLevels() if known is None else known
    limits = Limits(chosen.max_num_seqs, chosen.max_num_batched_tokens, chosen.max_model_len, memory.blocks)
    levels = []
    for load in loads:
        engine = (model, gpu, link, constants, engines, seed, load, without_limits(settings, load))
        level = known.find(engine, limits)
        if level is None:
            run = VirtualRun(steps, chosen, blocks=memory.blocks, load=load, engines=engines, seed=seed)
            trace = run.run()
            level = level_of(load, trace, steps, blocks=memory.blocks, engines=engines)
            known.keep(engine, limits, level, enough=trace.enough, peak_blocks=trace.peak_blocks)
        levels.append(level)
    return Forecast(None, memory, chosen, tuple(levels), interval)
