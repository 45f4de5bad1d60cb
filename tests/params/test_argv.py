"""How a list is read: which flag each item is, what its value means, and where it stands."""

from __future__ import annotations

import pytest

from harness.params.argv import read
from harness.params.reading import Argument, Problem, ProblemKind, Reading, Span
from harness.params.snapshots import load_grammar

NEW = load_grammar("0.15.1")
OLD = load_grammar("0.12.0")


def only(reading: Reading) -> Argument:
    assert reading.problems == ()
    assert len(reading.arguments) == 1
    return reading.arguments[0]


def problem(reading: Reading) -> Problem:
    assert len(reading.problems) == 1
    return reading.problems[0]


@pytest.mark.parametrize("items", [["--max_num-seqs", "64"], ["--max_num_seqs=64"], ["--max-num-s", "64"]])
def test_underscores_and_unique_beginnings_stand_for_the_flag(items: list[str]) -> None:
    argument = only(read(items, NEW))
    assert argument.name == "max-num-seqs"
    assert argument.converted == 64
    assert argument.abbreviated == (items[0] == "--max-num-s")


def test_a_joined_value_stands_inside_its_item() -> None:
    argument = only(read(["--seed=7"], NEW))
    assert argument.flag_span == Span(0, 0, 6)
    assert argument.value_span == Span(0, 7, 8)
    assert argument.flag_text == "--seed"


def test_a_separate_value_is_the_next_item() -> None:
    argument = only(read(["-tp", "2"], NEW))
    assert argument.name == "tensor-parallel-size"
    assert argument.flag == "-tp"
    assert argument.value_spans == (Span(1, 0, 1),)


@pytest.mark.parametrize(
    ("item", "name", "value"),
    [("-qawq", "quantization", "awq"), ("-n2", "nnodes", "2"), ("-tp=2", "tensor-parallel-size", "2")],
)
def test_short_flags_take_glued_values(item: str, name: str, value: str) -> None:
    argument = only(read([item], NEW))
    assert (argument.name, argument.value) == (name, value)


def test_a_glued_value_after_a_two_letter_flag_is_an_unknown_flag() -> None:
    found = problem(read(["-tp2"], NEW))
    assert (found.kind, found.span) == (ProblemKind.UNKNOWN_FLAG, Span(0, 0, 4))


def test_the_last_use_of_a_flag_decides() -> None:
    reading = read(["--seed", "1", "--seed=2", "--no-enforce-eager", "--enforce-eager"], NEW)
    last = reading.last("seed")
    assert last is not None
    assert last.converted == 2
    assert [argument.converted for argument in reading.by_name["enforce-eager"]] == [False, True]
    assert reading.last("max-num-seqs") is None


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("32k", 32_000),
        ("32K", 32_768),
        ("1.5k", 1_500),
        ("1m", 1_000_000),
        ("1G", 1 << 30),
        ("1t", 10**12),
        ("auto", -1),
        ("-1", -1),
    ],
)
def test_human_readable_integers(text: str, meaning: int) -> None:
    assert only(read(["--max-model-len", text], NEW)).converted == meaning


@pytest.mark.parametrize("text", ["1t", "auto", "1.5K", "1e3", "5kb", ""])
def test_the_older_version_reads_fewer_of_them(text: str) -> None:
    assert problem(read([f"--max-model-len={text}"], OLD)).kind is ProblemKind.WRONG_TYPE


def test_values_that_may_be_null_are_none() -> None:
    assert only(read(["--quantization", "None"], NEW)).converted is None
    assert only(read(["--kv-cache-memory-bytes="], NEW)).converted is None
    assert only(read(["--tokenizer", "None"], NEW)).converted == "None"


def test_a_flag_of_many_values_takes_all_up_to_the_next_flag() -> None:
    reading = read(["--served-model-name", "a", "b", "--seed", "1"], NEW)
    assert reading.accepted
    assert reading.arguments[0].converted == ("a", "b")
    assert reading.arguments[0].value_spans == (Span(1, 0, 1), Span(2, 0, 1))


def test_a_token_without_its_value_is_true() -> None:
    assert only(read(["--hf-token"], NEW)).converted is True


def test_dotted_keys_merge_into_one_argument_with_its_parts() -> None:
    items = [
        "-cc.mode=3",
        "--seed",
        "1",
        "-cc.pass_config.enable_sp",
        "true",
        "-cc.cudagraph_capture_sizes+=1,2",
    ]
    reading = read(items, NEW)
    assert [found.path for found in reading.problems] == []
    argument = reading.by_name["compilation-config"][0]
    assert argument.converted == {
        "mode": 3,
        "pass_config": {"enable_sp": True},
        "cudagraph_capture_sizes": ["1", "2"],
    }
    assert [part.path for part in argument.parts] == [
        ("mode",),
        ("pass_config", "enable_sp"),
        ("cudagraph_capture_sizes",),
    ]
    assert argument.parts[1].key_span == Span(3, 0, 25)
    assert argument.parts[1].value_span == Span(4, 0, 4)


def test_a_refused_dotted_value_is_pointed_at() -> None:
    found = problem(read(["--seed", "1", "-cc.cudagraph_mode=FULLL"], NEW))
    assert (found.kind, found.span) == (ProblemKind.MISTYPED_KEY, Span(2, 19, 24))
    assert found.path == ("cudagraph_mode",)


def test_the_optimization_level_may_be_glued() -> None:
    assert only(read(["-O3"], NEW)).converted == "3"
    assert only(read(["-O=2"], NEW)).value_span == Span(0, 3, 4)
    assert only(read(["-O", "1"], NEW)).name == "optimization-level"


def test_dotted_optimization_keys_exist_in_the_older_version_only() -> None:
    assert only(read(["-O.mode=3"], OLD)).name == "compilation-config"
    assert only(read(["-O.mode=3"], NEW)).name == "optimization-level"


def test_a_named_model_displaces_the_deployments_own() -> None:
    assert problem(read(["--model", "a/b"], NEW)).kind is ProblemKind.MODEL


def test_the_list_flag_before_the_model_swallows_it_as_the_engine_does() -> None:
    assert read(["--model", "--served-model-name"], NEW).accepted


def test_an_ambiguous_beginning_names_what_it_could_be() -> None:
    found = problem(read(["--data-parallel-s=2"], NEW))
    assert found.kind is ProblemKind.AMBIGUOUS
    assert found.span == Span(0, 0, 17)
    assert set(found.choices) == {
        "--data-parallel-size",
        "--data-parallel-size-local",
        "--data-parallel-start-rank",
    }


def test_reading_goes_on_after_a_problem() -> None:
    reading = read(["--bogus", "1", "--seed", "x", "--dtype", "fp16", "--max-num-seqs", "8"], NEW)
    assert [found.kind for found in reading.problems] == [
        ProblemKind.UNKNOWN_FLAG,
        ProblemKind.STRAY,
        ProblemKind.WRONG_TYPE,
        ProblemKind.NOT_ALLOWED,
    ]
    assert reading.by_name["max-num-seqs"][0].converted == 8
    assert not reading.by_name["seed"][0].valid


def test_problems_are_bounded() -> None:
    reading = read(["stray"] * 5_000, NEW)
    assert 0 < len(reading.problems) <= 100


def test_an_unknown_key_is_dropped_by_one_version_and_refused_by_the_other() -> None:
    items = ["--compilation-config", '{"full_cuda_graph": true}']
    assert read(items, OLD).accepted
    found = problem(read(items, NEW))
    assert (found.kind, found.path) == (ProblemKind.UNKNOWN_KEY, ("full_cuda_graph",))
