"""``harness lint --batch``: one JSON line in, one answer for JSON out. Pure; files are read by the caller's loader."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from harness.diagnostics import Diagnostic, Stage
from harness.errors import UserError
from harness.params.lint import is_refused, lint_parameters

Answer = dict[str, object]
ModelConfigLoader = Callable[[str], Mapping[str, object]]


def lint_line(line: str, *, load_model_config: ModelConfigLoader) -> Answer:
    """The answer to one line of a batch; a line that cannot be used gets ``ok`` false and an ``error`` text.

    ``not_checked`` lists the stages whose rules were not asked, where there are any. ``load_model_config`` turns the
    path of a ``config.json`` into its content and raises ``UserError`` when it cannot.
    """
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        return failure(f"not a JSON line: {error}")
    if not isinstance(request, dict):
        return failure("not a JSON object")
    try:
        return _answer(request, load_model_config)
    except (UserError, ValueError) as error:
        return failure(str(error), identity=request.get("id"))


def failure(message: str, *, identity: object = None) -> Answer:
    """The answer to a line that cannot be used."""
    return {"id": identity, "ok": False, "diagnostics": [], "error": message}


def _answer(request: Mapping[str, Any], load_model_config: ModelConfigLoader) -> Answer:
    parameters = request.get("parameters")
    if not isinstance(parameters, list) or not all(isinstance(item, str) for item in parameters):
        raise ValueError("'parameters' must be a list of strings")
    path = _field(request, "model_config", str)
    diagnostics = lint_parameters(
        parameters,
        engine_version=_required(request, "engine_version"),
        gpu_type=_field(request, "gpu_type", str),
        gpu_count=_field(request, "gpu_count", int),
        replicas=_field(request, "replicas", int),
        model=_field(request, "model", str),
        model_config=None if path is None else load_model_config(path),
    )
    answer: Answer = {
        "id": request.get("id"),
        "ok": not any(diagnostic.is_error for diagnostic in diagnostics),
        "diagnostics": [as_json(diagnostic) for diagnostic in diagnostics],
    }
    if is_refused(diagnostics):
        answer["not_checked"] = [Stage.STARTUP.value]
    return answer


def _required(request: Mapping[str, Any], key: str) -> str:
    value: str | None = _field(request, key, str)
    if not value:
        raise ValueError(f"'{key}' is missing")
    return value


def _field(request: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    value = request.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ValueError(f"'{key}' must be {'a string' if kind is str else 'an integer'}")
    return value


def as_json(diagnostic: Diagnostic) -> dict[str, object]:
    """A finding as the batch protocol writes it; ``hint``, ``note`` and ``fix`` only where there is one."""
    found: dict[str, object] = {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "stage": diagnostic.stage.value,
        "message": diagnostic.message,
        "index": diagnostic.index,
        "start": diagnostic.start,
        "end": diagnostic.end,
    }
    if diagnostic.hint is not None:
        found["hint"] = diagnostic.hint
    if diagnostic.note is not None:
        found["note"] = diagnostic.note
    if diagnostic.fix is not None:
        fix = diagnostic.fix
        found["fix"] = {
            "description": fix.description,
            "first": fix.first,
            "last": fix.last,
            "items": list(fix.items),
        }
    return found
