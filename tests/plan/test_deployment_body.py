"""What is said of the body of a create-deployment request, beside its parameters."""

from __future__ import annotations

import json

import pytest

from harness.plan.lint import Judge, LintOptions, lint_source
from harness.plan.spans import Source

BODY = {
    "name": "chat",
    "model": {"name": "Qwen/Qwen2.5-7B-Instruct"},
    "gpu-type": "gpua5000",
    "gpu-count": 1,
    "replicas": 1,
    "inference-engine-version": "0.15.1",
    "inference-engine-parameters": ["--max-model-len=4096"],
}
Found = list[tuple[int, str, str]]


def found_in(text: str, path: str = "x.json") -> Found:
    """Line, severity and code of every finding."""
    report = lint_source(Source.of(path, text), Judge(LintOptions()))
    return [(one.location.line, one.severity.value, one.code) for one in report.diagnostics if one.location]


def test_whole_body_has_no_finding() -> None:
    assert found_in(json.dumps(BODY)) == []


# Lines count from the brace: name 2, model 3, gpu-type 6, gpu-count 7, replicas 8, version 9.
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": ""}, [(2, "error", "config-value")]),
        ({"name": 7}, [(2, "error", "config-type")]),
        ({"model": {"name": "a b"}}, [(4, "error", "config-value")]),
        ({"model": {"nam": "a/b"}}, [(4, "error", "config-unknown-key")]),
        ({"model": {}}, [(3, "error", "config-missing")]),
        ({"gpu-type": "gpua500"}, [(6, "warning", "unknown-gpu-family")]),
        ({"gpu-type": ["gpua5000"]}, [(6, "error", "config-type")]),
        ({"gpu-count": "1"}, [(7, "error", "config-type")]),
        ({"gpu-count": True}, [(7, "error", "config-type")]),
        ({"replicas": 1.5}, [(8, "error", "config-type")]),
        ({"inference-engine-version": 0.15}, [(9, "error", "config-type")]),
        ({"gpu_count": 1}, []),  # what exo prints is no request
    ],
)
def test_value_of_another_kind_is_told_at_its_place(changes: dict[str, object], expected: Found) -> None:
    assert found_in(json.dumps(BODY | changes, indent=1)) == expected


def test_model_that_is_a_text_is_shown_as_the_mapping_the_api_wants() -> None:
    text = json.dumps(BODY | {"model": "Qwen/Qwen2.5-7B-Instruct"}, indent=1)
    (one,) = lint_source(Source.of("x.json", text), Judge(LintOptions())).diagnostics
    assert (one.code, one.hint) == ("config-type", '{"name": "Qwen/Qwen2.5-7B-Instruct"}')


@pytest.mark.parametrize(
    ("key", "severity", "note"),
    [
        ("gpu-typ", "error", "did you mean 'gpu-type'?"),
        ("zone", "warning", "one of: name, model, gpu-type, "),
    ],
)
def test_unknown_key_is_an_error_where_it_looks_like_a_slip(key: str, severity: str, note: str) -> None:
    report = lint_source(Source.of("x.json", json.dumps(BODY | {key: "x"})), Judge(LintOptions()))
    (one,) = report.diagnostics
    assert (one.code, one.severity.value) == ("config-unknown-key", severity)
    assert (one.note or "").startswith(note)


def test_key_that_is_lacking_is_told_unless_it_was_only_misspelt() -> None:
    lacking = {key: value for key, value in BODY.items() if key != "gpu-count"}
    assert found_in(json.dumps(lacking)) == [(1, "warning", "config-missing")]
    assert found_in(json.dumps(lacking | {"gpu-cout": 1})) == [(1, "error", "config-unknown-key")]


def test_body_that_changes_a_deployment_needs_no_more_than_it_says() -> None:
    assert found_in(json.dumps({"name": "a", "inference-engine-parameters": []})) == []
    answered = {"id": "1", "state": "ready", "gpu-type": "gpu3", "inference-engine-version": "0.15.1"}
    assert found_in(json.dumps(answered)) == []


def test_family_of_a_sweep_is_told_where_it_stands() -> None:
    text = (
        "model: m/m\nengine-version: '0.15.1'\nmatrix:\n  gpu-type:\n    - gpu3\n    - gpua500\n"
        "include:\n  - {gpu-type: gpua50, gpu-count: 2}\nload: [{concurrency: 1, requests: 1}]\n"
    )
    assert found_in(text, "x.yaml") == [
        (6, "warning", "unknown-gpu-family"),
        (8, "warning", "unknown-gpu-family"),
    ]
