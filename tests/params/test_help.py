"""Help documents: tolerant of everything an endpoint may leave out or add."""

from __future__ import annotations

import pytest

from harness.params.grammar import Arity, ValueKind
from harness.params.help import parse_help
from harness.params.lint import knowledge_of, lint_parameters
from harness.params.snapshots import (
    grammar_for,
    known_versions,
    load_grammar,
    load_help,
    load_history,
    load_registries,
    nearest_version,
)


def test_every_field_is_optional_and_types_have_synonyms() -> None:
    help = parse_help(
        {
            "parameters": [
                {"name": "a_b", "type": "int"},
                {"flags": ["-x", "--x-y"], "type": "quantum"},
                {"name": "c", "allowed-values": ["1", 2]},
                {},
                "junk",
                {"name": 3},
            ],
            "extra": 1,
        },
        version="9",
    )
    assert [spec.name for spec in help.parameters] == ["a-b", "x-y", "c"]
    assert [spec.type for spec in help.parameters] == ["integer", "string", None]
    assert help.by_name["a-b"].flags == ("--a-b",)
    assert help.by_name["c"].allowed_values == ("1", "2")


@pytest.mark.parametrize("document", [{}, {"parameters": {}}, {"parameters": "x"}])
def test_a_document_without_parameters_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no list under 'parameters'"):
        parse_help(document, version="9")


# 196 and 209 actions of the real parsers, less the positional model and help.
@pytest.mark.parametrize(("version", "parameters", "flags"), [("0.12.0", 194, 262), ("0.15.1", 207, 287)])
def test_the_shipped_documents_are_whole(version: str, parameters: int, flags: int) -> None:
    assert len(load_help(version).parameters) == parameters
    assert len(load_grammar(version).by_flag) == flags
    assert load_help(version).provenance["source"]


def test_every_name_in_the_grammar_files_is_a_parameter() -> None:
    for version in known_versions():
        grammar = load_grammar(version)
        assert {name for name, option in grammar.names.items() if option.arity is Arity.MANY} >= {"api-key"}
        structured = [option for option in grammar.options if option.kind is ValueKind.STRUCTURE]
        assert len(structured) == (7 if version == "0.12.0" else 9)
        assert sum(option.deprecated for option in grammar.options) == (5 if version == "0.12.0" else 1)


def test_an_unknown_version_borrows_the_nearest_and_says_so_once() -> None:
    versions = ("0.1", "0.13.0", "v0.15.1", "0.15", "0.26.0", "latest")
    assert [nearest_version(version) for version in versions] == ["0.12.0", "0.12.0", *["0.15.1"] * 4]
    found = lint_parameters(["--max-num-seqs", "64"], engine_version="0.26.0")
    assert [finding.code for finding in found if finding.code == "unknown-engine-version"] == [
        "unknown-engine-version"
    ]
    assert not any(finding.is_error for finding in found)


def test_a_versions_own_document_decides_over_the_borrowed_one() -> None:
    document = {"parameters": [{"name": "brand-new", "flags": ["--brand-new"], "type": "integer"}]}
    help = parse_help(document, version="0.26.0")
    grammar = knowledge_of("0.26.0", help).grammar
    assert set(grammar.by_flag) == {"-h", "--help", "--brand-new"}
    assert not grammar.is_exact
    codes = {
        finding.code for finding in lint_parameters(["--brand-new", "x"], engine_version="0.26.0", help=help)
    }
    assert "wrong-type" in codes
    assert grammar_for(help, "0.12.0").reference_version == "0.12.0"


def test_registries_hold_names_and_history_holds_replacements() -> None:
    assert "qwen3" in load_registries("0.12.0")["reasoning_parser"]
    assert load_history().replacements["cuda-graph-sizes"] == "--cudagraph-capture-sizes"
    assert set(load_history().other_names.values()) <= set(load_grammar("0.15.1").names)


def test_what_a_live_document_leaves_out_is_filled_in() -> None:
    live = parse_help(
        {
            "parameters": [
                {"name": "tensor-parallel-size"},
                {"name": "dtype", "allowed-values": ["auto"]},
                {"name": "brand-new"},
            ]
        },
        version="0.15.1",
    )
    known = knowledge_of("0.15.1", live)
    assert known.offered == {"tensor-parallel-size", "dtype", "brand-new"}
    assert known.grammar.by_flag["-tp"].spec.type == "integer"
    assert known.grammar.names["dtype"].choices == ("auto",)
    assert "--max-num-seqs" in known.grammar.by_flag
    findings = lint_parameters(
        ["-tp", "x", "--uds", "/s", "--brand-new", "1"], engine_version="0.15.1", help=live
    )
    assert ("wrong-type", 1) in {(finding.code, finding.index) for finding in findings}
    assert ("not-offered", 2) in {(finding.code, finding.index) for finding in findings}
    assert not [finding for finding in findings if finding.index in (4, 5)]


def test_a_boolean_without_flags_is_taken_to_have_both_forms() -> None:
    help = parse_help({"parameters": [{"name": "x", "type": "boolean"}]}, version="9")
    assert help.parameters[0].flags == ("--x", "--no-x")
