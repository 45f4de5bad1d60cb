"""One list linted with the facts a test gives, and the model configurations they name."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.diagnostics import Diagnostic
from harness.params.lint import lint_parameters

MODELS = Path(__file__).parents[2] / "oracle" / "models"
Config = Mapping[str, object]
Find = Callable[..., list[Diagnostic]]


@pytest.fixture(scope="session")
def config() -> Callable[[str], dict[str, object]]:
    """A model's decoded ``config.json`` by its name."""

    def read(name: str) -> dict[str, object]:
        document: dict[str, object] = json.loads((MODELS / f"{name}.json").read_text(encoding="utf-8"))
        return document

    return read


@pytest.fixture(scope="session")
def find(config: Callable[[str], dict[str, object]]) -> Find:
    """``find(code, "shell words", …)``: the findings of one rule; ``model`` is a name or a document."""

    def lint(
        code: str,
        words: str,
        *,
        version: str = "0.15.1",
        model: str | Config | None = None,
        gpu_type: str | None = None,
        gpu_count: int | None = None,
        replicas: int | None = None,
        authorized: tuple[str, ...] | None = None,
    ) -> list[Diagnostic]:
        findings = lint_parameters(
            shlex.split(words),
            engine_version=version,
            gpu_type=gpu_type,
            gpu_count=gpu_count,
            replicas=replicas,
            model_config=config(model) if isinstance(model, str) else model,
            authorized=authorized,
        )
        return [finding for finding in findings if finding.code == code]

    return lint
