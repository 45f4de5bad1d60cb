"""What a cell would run on, in the forecast's terms: model, GPU and settings, or why they are not known. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.forecast.config_json import NotCovered, from_config
from harness.forecast.hardware import Gpu
from harness.forecast.models import ModelFacts
from harness.forecast.settings import FLAGS, EngineSettings, from_values
from harness.forecast.tables import gpu as gpu_of
from harness.forecast.tables import model as model_of
from harness.params.argv import read
from harness.params.help import default_value
from harness.params.lint import knowledge_of
from harness.params.reading import Argument
from harness.plan.cells import Cell

# Keys of a config.json by which ``--hf-overrides`` would make another model of it.
RESHAPING = frozenset(
    {
        "architectures", "head_dim", "hidden_size", "intermediate_size", "layer_types", "moe_intermediate_size",
        "num_attention_heads", "num_experts", "num_experts_per_tok", "num_hidden_layers", "num_key_value_heads",
        "num_local_experts", "quantization_config", "sliding_window", "text_config", "vocab_size",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CellEngine:
    """One replica's model, GPU and settings. ``others``: arguments outside the equations that are not defaults."""

    model: ModelFacts
    gpu: Gpu
    settings: EngineSettings
    others: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class UnknownEngine:
    """Why a cell cannot be forecast."""

    reason: str


def facts_of(model: str, model_config: Mapping[str, object] | None = None) -> ModelFacts | UnknownEngine:
    """A model's facts from its ``config.json``; without one the packaged table must know it."""
    facts = model_of(model) if model_config is None else from_config(model_config, name=model)
    if facts is None:
        return UnknownEngine(f"no facts of {model}: name its config.json under 'models:'")
    if isinstance(facts, NotCovered):
        return UnknownEngine(f"the forecast does not cover {model}: {facts.reason}")
    return facts


def engine_of(cell: Cell, model_config: Mapping[str, object] | None = None) -> CellEngine | UnknownEngine:
    """The cell's engine, its model read from a ``config.json`` where there is one."""
    facts = facts_of(cell.model, model_config)
    return facts if isinstance(facts, UnknownEngine) else engine_with(cell, facts)


def engine_with(cell: Cell, model: ModelFacts) -> CellEngine | UnknownEngine:
    """The cell's engine for a model whose facts are at hand."""
    gpu = gpu_of(cell.gpu_type)
    if gpu is None:
        return UnknownEngine(f"no facts of GPU '{cell.gpu_type}'")
    asked = _asked(cell)
    return asked if isinstance(asked, UnknownEngine) else CellEngine(model, gpu, *asked)


def settings_of(cell: Cell) -> EngineSettings | UnknownEngine:
    """What the cell's parameters come to, whatever the model and the GPU."""
    asked = _asked(cell)
    return asked if isinstance(asked, UnknownEngine) else asked[0]


def _asked(cell: Cell) -> tuple[EngineSettings, tuple[tuple[str, str], ...]] | UnknownEngine:
    """The settings, and the arguments that the equations do not take in."""
    reading = read(cell.parameters, knowledge_of(cell.engine_version).grammar)
    if reading.problems:
        return UnknownEngine("its parameters are refused; run `harness lint`")
    values = {argument.name: argument.converted for argument in reading.arguments if argument.valid}
    overridden = values.get("hf-overrides")
    if isinstance(overridden, Mapping) and not RESHAPING.isdisjoint(overridden):
        return UnknownEngine("--hf-overrides gives the model another shape")
    settings = from_values(values, engine_version=cell.engine_version, gpu_count=cell.gpu_count)
    if values.get("speculative-config") and settings.speculation is None:
        return UnknownEngine("--speculative-config does not say how many tokens are drafted")
    return settings, _others(reading.arguments)


def _others(arguments: Iterable[Argument]) -> tuple[tuple[str, str], ...]:
    """Names and values, in order of name; of a repeated argument the last counts, as for the engine."""
    found = {}
    for argument in arguments:
        if argument.valid and argument.name is not None and argument.name not in FLAGS:
            default = default_value(argument.spec.default or "None", argument.spec.type)
            found[argument.name] = "" if argument.converted == default else repr(argument.converted)
    return tuple(sorted((name, value) for name, value in found.items() if value))
