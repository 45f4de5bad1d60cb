"""What a sweep was asked to do, as kept in ``resolved.json``: the provenance of everything else in the folder. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness import __version__
from harness.errors import ConfigError
from harness.plan.cells import Cell
from harness.results.prices import PriceTable

SCHEMA_VERSION = 1
# Where a run folder keeps what the sweep read.
INPUTS = "inputs"
PRICES_INPUT, CALIBRATION_INPUT, FAULTS_INPUT = (
    f"{INPUTS}/{name}" for name in ("prices.json", "calibration.json", "faults.yaml")
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The resolved sweep.

    ``started_at`` is ISO 8601 in UTC; ``deployer`` is ``exoscale``, ``local`` or ``existing``; ``simulated`` is
    True when no real hardware was used, ``virtual`` when no real time passed either; ``slo``, ``workload`` and
    ``load`` are as the file gave them; ``models`` holds what the forecast knows of each model it covers, as
    ``ModelFacts.to_json`` has it; ``prune`` is the rule by which cells were left out, ``pruned`` the reason of each,
    by cell id; ``inputs`` are the files below the folder that config.yaml and the sweep's command name, None where
    none were kept.
    """

    name: str
    started_at: str
    simulated: bool
    deployer: str
    cells: tuple[Cell, ...]
    question: str | None = None
    zone: str | None = None
    seed: int = 0
    slo: str | None = None
    workload: Mapping[str, Any] = field(default_factory=dict)
    load: tuple[Mapping[str, Any], ...] = ()
    repeats: int = 1
    config_sha256: str | None = None
    prices: PriceTable | None = None
    virtual: bool = False
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prune: str | None = None
    pruned: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] | None = None
    tool_version: str = __version__

    def to_json(self) -> dict[str, Any]:
        """Plain values, readable by ``parse``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "tool_version": self.tool_version,
            "name": self.name,
            "question": self.question,
            "started_at": self.started_at,
            "simulated": self.simulated,
            "virtual": self.virtual,
            "deployer": self.deployer,
            "zone": self.zone,
            "seed": self.seed,
            "slo": self.slo,
            "workload": dict(self.workload),
            "load": [dict(level) for level in self.load],
            "repeats": self.repeats,
            "config_sha256": self.config_sha256,
            "prices": None if self.prices is None else self.prices.to_json(),
            "models": {name: dict(facts) for name, facts in self.models.items()},
            "prune": self.prune,
            "pruned": dict(self.pruned),
            "inputs": None if self.inputs is None else list(self.inputs),
            "cells": [_cell_to_json(cell) for cell in self.cells],
        }

    @classmethod
    def parse(cls, document: Mapping[str, Any], *, source: str = "resolved.json") -> Resolved:
        """The resolved sweep in a parsed document; ConfigError for a newer schema or a missing key."""
        version = document.get("schema_version")
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise ConfigError(
                f"'{source}' has schema version {version}; this version reads up to {SCHEMA_VERSION}"
            )
        prices = document.get("prices")
        try:
            return cls(
                name=document["name"],
                started_at=document["started_at"],
                simulated=document["simulated"],
                deployer=document["deployer"],
                cells=tuple(_cells_from_json(document["cells"])),
                question=document.get("question"),
                zone=document.get("zone"),
                seed=document.get("seed", 0),
                slo=document.get("slo"),
                workload=document.get("workload") or {},
                load=tuple(document.get("load") or ()),
                repeats=document.get("repeats", 1),
                config_sha256=document.get("config_sha256"),
                prices=None if prices is None else PriceTable.parse(prices, source=source),
                virtual=document.get("virtual", False),
                models=document.get("models") or {},
                prune=document.get("prune"),
                pruned=document.get("pruned") or {},
                inputs=None if document.get("inputs") is None else tuple(document["inputs"]),
                tool_version=document.get("tool_version", "unknown"),
            )
        except (KeyError, TypeError) as error:
            raise ConfigError(f"'{source}' is incomplete: {error}") from error


def _cell_to_json(cell: Cell) -> dict[str, Any]:
    return {
        "id": cell.id,
        "label": cell.label,
        "gpu_type": cell.gpu_type,
        "gpu_count": cell.gpu_count,
        "replicas": cell.replicas,
        "engine_version": cell.engine_version,
        "model": cell.model,
        "parameters": list(cell.parameters),
        "parameter_set": cell.parameter_set,
        "axes": dict(cell.axes),
    }


def _cells_from_json(documents: Iterable[Mapping[str, Any]]) -> Iterable[Cell]:
    for document in documents:
        yield Cell(
            gpu_type=document["gpu_type"],
            gpu_count=document["gpu_count"],
            replicas=document["replicas"],
            engine_version=document["engine_version"],
            model=document["model"],
            parameters=tuple(document["parameters"]),
            parameter_set=document.get("parameter_set", "default"),
            axes=document.get("axes") or {},
        )
