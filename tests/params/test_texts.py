"""Names that were meant, places inside JSON, quoted text, differences between versions, pages."""

from __future__ import annotations

import pytest

from harness.params.changes import compare, describe_type
from harness.params.explain import page
from harness.params.json_places import find_key, find_value
from harness.params.names import bare_name, look_up, near_names, near_text
from harness.params.quoting import quote
from harness.params.reading import Span
from harness.params.snapshots import load_grammar
from harness.params.values import nesting, parse_json, plain_integer

NEW = load_grammar("0.15.1")
OLD = load_grammar("0.12.0")


def test_a_bare_name_has_no_dashes_dots_or_capitals() -> None:
    assert bare_name("--Max_Model-len.x") == "max-model-len"


def test_a_flag_of_the_other_version_is_recognised_in_both_directions() -> None:
    assert look_up("--task", NEW).older == "0.12.0"
    assert look_up("--task", NEW).replacement == "--runner and --convert"
    assert look_up("--ubatch-size", OLD).newer == "0.15.1"
    assert look_up("--no-enable-log-deltas", OLD).newer == "0.15.1"
    assert look_up("--no-max-num-seqs", NEW).older is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("max-model-length", "max-model-len"),
        ("gpu-mem-utilization", "gpu-memory-utilization"),
        ("tensor-paralel-size", "tensor-parallel-size"),
        ("enable-prefix-cache", "enable-prefix-caching"),
        ("kv-cache-dtyp", "kv-cache-dtype"),
        ("max-num-seq", "max-num-seqs"),
    ],
)
def test_the_nearest_name_comes_first(written: str, meant: str) -> None:
    assert near_names(written, tuple(NEW.names))[0] == meant


def test_nothing_is_suggested_for_what_is_like_nothing() -> None:
    assert near_names("zzzzqqq", tuple(NEW.names)) == ()
    assert near_text("", ("a", "b")) is None


def test_letter_case_and_white_space_are_looked_through() -> None:
    assert near_text(" Half", ("auto", "half", "float")) == "half"
    assert near_text("fulll", ("NONE", "FULL")) == "FULL"


TEXT = '{"a": {"b": [1, 2], "c": "x"}, "b": {"c":  "y"} }'


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("a",), '"a"', '{"b": [1, 2], "c": "x"}'),
        (("a", "b"), '"b"', "[1, 2]"),
        (("b", "c"), '"c"', '"y"'),
        (("a", "z"), TEXT, TEXT),
        (("a", "b", "c"), TEXT, TEXT),
    ],
)
def test_a_path_leads_to_its_key_and_value(path: tuple[str, ...], key: str, value: str) -> None:
    item = f"--x={TEXT}"
    span = Span(3, 4, 4 + len(TEXT))
    found_key, found_value = find_key(TEXT, path, span), find_value(TEXT, path, span)
    assert item[found_key.start : found_key.end] == key
    assert item[found_value.start : found_value.end] == value
    assert found_key.index == 3


def test_of_a_key_given_twice_the_last_counts() -> None:
    assert find_value('{"a": 1, "a": 2}', ("a",), Span(0, 0, 16)) == Span(0, 14, 15)


def test_quoted_text_is_cut_in_its_middle_and_shows_control_characters() -> None:
    assert quote("it's") == '"it\'s"'
    assert quote("a\nb") == "'a\\nb'"
    assert len(quote("x" * 500)) < 64
    assert "…" in quote("x" * 500)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("16k", 16_000),
        ("1K", 1024),
        ("1,000", 1000),
        ("8.0", 8),
        ("1e3", 1000),
        ("x", None),
        ("1.5", None),
        ("inf", None),
    ],
)
def test_the_whole_number_people_mean(text: str, meant: int | None) -> None:
    assert plain_integer(text) == meant


def test_json_says_where_reading_stopped() -> None:
    refusal = parse_json('{"a": nope}').refusals[0]
    assert refusal.offset == 6


def test_empty_brackets_do_not_count_as_nesting() -> None:
    assert [nesting(value) for value in (1, [], [[]], {"a": {}}, {"a": [{"b": 1}]})] == [0, 0, 1, 1, 3]


def test_types_are_described_in_words() -> None:
    described = {
        name: describe_type(NEW.names[name])
        for name in ("enforce-eager", "max-model-len", "dtype", "api-key", "hf-token")
    }
    assert described == {
        "enforce-eager": "switch",
        "max-model-len": "human-integer or auto",
        "dtype": "one of a list",
        "api-key": "text or None, one or more",
        "hf-token": "text, may be left out",
    }


def test_a_version_does_not_differ_from_itself() -> None:
    assert compare(NEW, NEW) == ()


def test_an_example_carries_its_facts() -> None:
    known = page("removed-flag")
    assert known is not None
    assert known.wrong[0].words == "--disable-mm-preprocessor-cache"
    assert known.wrong[0].facts == (("engine-version", "0.15.1"),)
