"""Everything that can be known before the first create: which cells cannot start, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.diagnostics import Diagnostic, Stage
from harness.errors import ConfigError
from harness.params.lint import lint_parameters
from harness.params.model_config import ModelConfig
from harness.plan.cells import Cell
from harness.plan.config import SweepConfig
from harness.plan.matrix import expand
from harness.plan.pruning import PruneRule
from harness.plan.request_lengths import longest_requests, request_finding
from harness.plan.startable import start_finding

SECRET = "secret-in-parameters"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A cell that is not deployed. ``findings`` are the errors that say why; ``reason`` is the first in one line."""

    cell: Cell
    findings: tuple[Diagnostic, ...]

    @property
    def reason(self) -> str:
        """``does-not-fit: …`` and how many more."""
        first = self.findings[0]
        more = f" (and {len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
        return f"{first.code}: {first.message}{more}"


@dataclass(frozen=True, slots=True)
class Pruned:
    """A cell that could run and is left out by its forecast; ``reason`` is one line."""

    cell: Cell
    reason: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """The cells to run, in the file's order, those refused and those pruned.

    ``warnings`` are distinct findings below an error; ``rule`` is what was pruned by, None when nothing was to be.
    """

    accepted: tuple[Cell, ...]
    refused: tuple[Refusal, ...]
    warnings: tuple[Diagnostic, ...]
    pruned: tuple[Pruned, ...] = ()
    rule: PruneRule | None = None

    @property
    def cells(self) -> int:
        """How many cells the file asks for."""
        return len(self.accepted) + len(self.refused) + len(self.pruned)


def preflight(config: SweepConfig, *, managed: bool, authorized: Sequence[str] | None = None) -> Preflight:
    """Lint every cell. ``managed``: the deployment is a platform's, whose own rules and named GPUs hold too.

    ``authorized`` are the GPU families the platform allows us, None while it has not been asked. ConfigError when
    a parameter holds a secret: results keep every parameter.
    """
    models = read_model_configs(config.models)
    known = {model: ModelConfig.from_json(document) for model, document in models.items()}
    requests = longest_requests(config.workload)
    accepted, refused = [], []
    warnings: dict[tuple[str, str], Diagnostic] = {}
    linted: dict[tuple[Any, ...], tuple[Diagnostic, ...]] = {}
    for cell in unique(expand(config)):
        key = (cell.parameters, cell.engine_version, cell.gpu_type, cell.gpu_count, cell.replicas, cell.model)
        if key not in linted:
            findings = lint_cell(cell, models, authorized)
            refuse_secrets(cell, findings)
            if managed and cell.model not in models and (short := start_finding(cell)) is not None:
                findings = (*findings, short)
            if (long := request_finding(requests, cell, known.get(cell.model), config.source)) is not None:
                findings = (*findings, long)
            linted[key] = tuple(relevant(findings, managed=managed))
        errors = tuple(finding for finding in linted[key] if finding.is_error)
        for finding in linted[key]:
            if not finding.is_error:
                warnings.setdefault((finding.code, finding.message), finding)
        if errors:
            refused.append(Refusal(cell, errors))
        else:
            accepted.append(cell)
    return Preflight(tuple(accepted), tuple(refused), tuple(warnings.values()))


def refuse_secrets(cell: Cell, findings: Iterable[Diagnostic]) -> None:
    """ConfigError when one of the findings is that a secret stands in the parameters."""
    for finding in findings:
        if finding.code == SECRET:
            raise ConfigError(
                f"{cell.label}: {finding.message}, and a results folder keeps all parameters; "
                "set HF_TOKEN in the environment for gated models"
            )


def lint_cell(
    cell: Cell, models: Mapping[str, Mapping[str, Any]], authorized: Sequence[str] | None
) -> Sequence[Diagnostic]:
    """The findings on one cell's parameters, with all that is known of where they would run."""
    return lint_parameters(
        cell.parameters,
        engine_version=cell.engine_version,
        gpu_type=cell.gpu_type,
        gpu_count=cell.gpu_count,
        replicas=cell.replicas,
        model=cell.model,
        model_config=models.get(cell.model),
        live=authorized is not None,
        authorized=authorized,
    )


def relevant(findings: Iterable[Diagnostic], *, managed: bool) -> Iterable[Diagnostic]:
    """Findings that count here: the platform's rules do not bind an engine that is started by hand."""
    return (finding for finding in findings if managed or finding.stage is not Stage.PLATFORM)


def unique(cells: Iterable[Cell]) -> Iterable[Cell]:
    """Cells without those that deploy the same as an earlier one."""
    seen: set[str] = set()
    for cell in cells:
        if cell.id not in seen:
            seen.add(cell.id)
            yield cell


def read_model_configs(paths: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """The config.json of each model that names one; ConfigError for a file that cannot be read."""
    return {model: read_model_config(path) for model, path in paths.items()}


def read_model_config(path: str) -> Mapping[str, Any]:
    """One model's config.json."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the model's config {path!r}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"the model's config {path!r} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"the model's config {path!r} is not a JSON object")
    return document
