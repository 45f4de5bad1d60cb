"""The batch protocol: one JSON line in, one out, and a clear error for a line that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from harness.errors import UserError
from harness.params.batch import lint_line


def no_files(path: str) -> Mapping[str, object]:
    raise UserError(f"cannot read {path!r}: no such file")


def answer(request: object) -> dict[str, Any]:
    line = request if isinstance(request, str) else json.dumps(request)
    text = json.dumps(lint_line(line, load_model_config=no_files))
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_an_accepted_list_is_ok() -> None:
    found = answer({"id": 7, "engine_version": "0.15.1", "parameters": ["--max-model-len", "32k"]})
    assert (found["id"], found["ok"]) == (7, True)
    assert [entry for entry in found["diagnostics"] if entry["stage"] == "parse"] == []


def test_start_up_of_a_refused_list_is_said_not_to_be_checked() -> None:
    refused = answer({"id": 1, "engine_version": "0.15.1", "parameters": ["--bogus", "-tp", "0"]})
    assert refused["not_checked"] == ["startup"]
    accepted = answer({"id": 1, "engine_version": "0.15.1", "parameters": ["-tp", "0"]})
    assert "not_checked" not in accepted
    assert [one["stage"] for one in accepted["diagnostics"]] == ["startup"]


def test_a_refused_list_has_the_findings_fields() -> None:
    found = answer({"id": "a", "engine_version": "0.12.0", "parameters": ["--kv-cache-dtype=FP8"]})
    assert found["ok"] is False
    entry = found["diagnostics"][0]
    assert {key: entry[key] for key in ("code", "severity", "stage", "index", "start", "end")} == {
        "code": "value-not-allowed",
        "severity": "error",
        "stage": "parse",
        "index": 0,
        "start": 17,
        "end": 20,
    }
    assert entry["fix"] == {
        "description": "write fp8",
        "first": 0,
        "last": 1,
        "items": ["--kv-cache-dtype=fp8"],
    }


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("", "not a JSON line"),
        ("{", "not a JSON line"),
        ("[" * 100_000, "not a JSON line"),
        ("[]", "not a JSON object"),
        ({"id": 1}, "'parameters' must be a list of strings"),
        (
            {"id": 1, "parameters": ["a", 2], "engine_version": "0.12.0"},
            "'parameters' must be a list of strings",
        ),
        ({"id": 1, "parameters": []}, "'engine_version' is missing"),
        ({"id": 1, "parameters": [], "engine_version": 12}, "'engine_version' must be a string"),
        (
            {"id": 1, "parameters": [], "engine_version": "0.12.0", "gpu_count": "2"},
            "'gpu_count' must be an integer",
        ),
        (
            {"id": 1, "parameters": [], "engine_version": "0.12.0", "gpu_count": True},
            "'gpu_count' must be an integer",
        ),
        (
            {"id": 1, "parameters": [], "engine_version": "0.12.0", "model_config": "x"},
            "cannot read 'x': no such file",
        ),
    ],
)
def test_a_line_that_cannot_be_used_gets_an_error(line: object, error: str) -> None:
    found = answer(line)
    assert found["ok"] is False
    assert found["error"].startswith(error)
    assert found["diagnostics"] == []
