"""What a cell would run on, in the forecast's terms: model, GPU and settings, or why they are not known. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.forecast.hardware import Gpu
from harness.forecast.models import ModelFacts, NotCovered, from_config
from harness.forecast.settings import EngineSettings, from_values
from harness.forecast.tables import gpu as gpu_of
from harness.forecast.tables import model as model_of
from harness.params.argv import read
from harness.params.lint import knowledge_of
from harness.plan.cells import Cell


@dataclass(frozen=True, slots=True)
class CellEngine:
    """One replica's model, GPU and settings."""

    model: ModelFacts
    gpu: Gpu
    settings: EngineSettings


@dataclass(frozen=True, slots=True)
class UnknownEngine:
    """Why a cell cannot be forecast."""

    reason: str


def engine_of(cell: Cell, model_config: Mapping[str, object] | None = None) -> CellEngine | UnknownEngine:
    """The cell's engine; without a ``config.json`` the packaged table must know the model."""
    model = model_of(cell.model) if model_config is None else from_config(model_config, name=cell.model)
    gpu = gpu_of(cell.gpu_type)
    if model is None:
        return UnknownEngine(f"no facts of {cell.model}: name its config.json under 'models:'")
    if isinstance(model, NotCovered):
        return UnknownEngine(f"the forecast does not cover {cell.model}")
    if gpu is None:
        return UnknownEngine(f"no facts of GPU '{cell.gpu_type}'")
    settings = settings_of(cell)
    return settings if isinstance(settings, UnknownEngine) else CellEngine(model, gpu, settings)


def settings_of(cell: Cell) -> EngineSettings | UnknownEngine:
    """What the cell's parameters come to, whatever the model and the GPU."""
    reading = read(cell.parameters, knowledge_of(cell.engine_version).grammar)
    if reading.problems:
        return UnknownEngine("its parameters are refused; run `harness lint`")
    values = {argument.name: argument.converted for argument in reading.arguments if argument.valid}
    return from_values(values, engine_version=cell.engine_version, gpu_count=cell.gpu_count)
