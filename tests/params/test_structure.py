"""Structured values: leniency as recorded from the engine's validator, and the conditions between keys."""

from __future__ import annotations

import json

import pytest

from harness.params.lenient import integer_of, is_boolean, is_number
from harness.params.refusals import RefusalKind
from harness.params.schema import parse_schemas
from harness.params.snapshots import load_grammar
from harness.params.structure import check_structure, unknown_keys

NEW = load_grammar("0.15.1").schemas
OLD = load_grammar("0.12.0").schemas


# The validator's own answers, recorded by hand from pydantic 2.14 in lax mode.
@pytest.mark.parametrize(
    "text", ["true", "0", "-1", "1.0", "1e2", "1e18", '"1"', '"1.00"', '" 1 "', '"1_000"', '"+1"', '"007"']
)
def test_these_are_integers(text: str) -> None:
    assert integer_of(json.loads(text)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "1.5",
        "1e19",
        "NaN",
        '""',
        '"a"',
        '"1."',
        '"1e2"',
        '"0x1"',
        '"1__0"',
        '"_1"',
        '"٣"',
        '"0_"',
        "null",
        "[1]",
    ],
)
def test_these_are_not(text: str) -> None:
    assert integer_of(json.loads(text)) is None


def test_booleans_and_numbers_are_lenient_too() -> None:
    assert all(map(is_boolean, (True, 0, 1.0, "yes", "OFF", "t")))
    assert not any(map(is_boolean, (2, 0.5, "", " true", None)))
    assert all(map(is_number, (True, 1, 1.5, float("inf"), "1e3", ".5", " -inf ", "1_0.5")))
    assert not any(map(is_number, ("", "1__0", "0x1", "a", None, [])))


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("CompilationConfig", {"custom_ops": ["none", "all"]}, ("custom_ops",)),
        ("CompilationConfig", {"custom_ops": ["rms_norm"]}, ("custom_ops",)),
        ("CompilationConfig", {"mode": 3, "backend": "cudagraphs"}, ("backend",)),
        ("StructuredOutputsConfig", {"disable_any_whitespace": "yes"}, ("disable_any_whitespace",)),
        ("KVTransferConfig", {"kv_connector": "NixlConnector"}, ("kv_connector",)),
        ("ECTransferConfig", {"ec_connector": "X"}, ("ec_connector",)),
        ("ProfilerConfig", {"profiler": "torch"}, ("profiler",)),
        (
            "EPLBConfig",
            {"log_balancedness": True, "log_balancedness_interval": 0},
            ("log_balancedness_interval",),
        ),
        ("PoolerConfig", {"pooling_type": "CLS", "seq_pooling_type": "CLS"}, ("seq_pooling_type",)),
    ],
)
def test_a_condition_between_keys_is_refused_at_its_key(
    name: str, value: object, path: tuple[str, ...]
) -> None:
    refusals = check_structure(value, NEW[name])
    assert [(refusal.kind, refusal.path) for refusal in refusals] == [(RefusalKind.CONDITION, path)]


def test_the_older_version_checks_the_reasoning_parsers_name() -> None:
    value = {"reasoning_parser": "holo2"}
    assert len(check_structure(value, OLD["StructuredOutputsConfig"])) == 1
    assert check_structure(value, NEW["StructuredOutputsConfig"]) == ()


def test_a_nested_value_is_refused_by_its_whole_path() -> None:
    refusals = check_structure({"pass_config": {"enable_sp": "maybe"}}, NEW["CompilationConfig"])
    assert [refusal.path for refusal in refusals] == [("pass_config", "enable_sp")]


def test_unknown_keys_are_found_at_every_depth() -> None:
    value = {"bogus": 1, "pass_config": {"bogus": 2}}
    assert [path for path, _ in unknown_keys(value, OLD["CompilationConfig"])] == [
        ("bogus",),
        ("pass_config", "bogus"),
    ]


def test_a_grammar_file_with_a_type_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown field type 'complex'"):
        parse_schemas({"X": {"fields": {"a": "complex"}}})
