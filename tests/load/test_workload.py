"""Workloads: lengths, prompts, salts and prefixes; the same seed gives the same requests."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.load.lengths import (
    EmpiricalLength,
    FixedLength,
    Lengths,
    LogNormalLength,
    NormalLength,
    UniformLength,
    lengths_from_json,
    lengths_to_json,
    mean_length,
    parse_lengths,
    sample,
    text_of,
)
from harness.load.prompts import GUESS, Calibration, calibrate, join_prompt, synthetic_words
from harness.load.source import RequestSource
from harness.load.workload import Item, SharedPrefixes, Workload, workload_from_json

COSTS = {"river": 2, "stone": 1, "garden": 3}
CALIBRATION = Calibration(10, tuple(COSTS), tuple(COSTS.values()))


def source(workload: Workload, *, seed: int = 1, salt: str = "s", salted: bool = True) -> RequestSource:
    return RequestSource(workload, CALIBRATION, seed, salt, salted=salted)


def counted(prompt: Any) -> int:
    """What a server with these costs and a template of 10, opening word included, would count."""
    return 10 + sum(COSTS[word] for word in prompt.split()[1:])


EVERY_LENGTH = [
    (FixedLength(7), "7", 7.0),
    (UniformLength(10, 20), "10-20", 15.0),
    (NormalLength(100.0, 10.0), "normal:100,10", 100.0),
    (LogNormalLength(100.0, 0.5), "lognormal:100,0.5", 113.3),
    (NormalLength(100.5, 10.0, 60, 140), "normal:100.5,10,60-140", 100.5),
    (LogNormalLength(100.0, 0.1, 1, 500), "lognormal:100,0.1,1-500", 100.5),
    (EmpiricalLength((5, 50)), "5|50", 27.5),
    (EmpiricalLength((5, 50), (4.0, 1.0)), "5:4|50:1", 14.0),
]


@pytest.mark.parametrize(("lengths", "text", "mean"), EVERY_LENGTH)
def test_lengths_are_read_written_and_drawn(lengths: Lengths, text: str, mean: float) -> None:
    assert parse_lengths(text) == lengths
    assert text_of(lengths) == text
    assert lengths_from_json(json.loads(json.dumps(lengths_to_json(lengths)))) == lengths
    drawn = sample(lengths, rng=np.random.default_rng(0), count=20_000)
    assert len(drawn) == 20_000
    assert drawn.min() >= 1
    assert mean_length(lengths) == pytest.approx(mean, rel=0.001)
    assert drawn.mean() == pytest.approx(mean, rel=0.02)


def test_the_only_value_of_an_observed_length_is_written_as_what_it_is() -> None:
    only, fixed = EmpiricalLength((7,)), parse_lengths(text_of(EmpiricalLength((7,))))
    assert fixed == FixedLength(7)
    generators = np.random.default_rng(3), np.random.default_rng(3)
    assert [sample(only, rng=generators[0], count=3).tolist(), generators[0].random()] == [
        sample(fixed, rng=generators[1], count=3).tolist(),
        generators[1].random(),
    ]
    assert parse_lengths(text_of(EmpiricalLength((7,), (2.0,)))) == EmpiricalLength((7,), (2.0,))


def test_drawn_lengths_keep_their_limits() -> None:
    drawn = sample(NormalLength(10, 50, low=3, high=40), rng=np.random.default_rng(0), count=1000)
    assert (drawn.min(), drawn.max()) == (3, 40)
    assert set(sample(UniformLength(1, 2), rng=np.random.default_rng(0), count=100).tolist()) == {1, 2}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-5",
        "20-10",
        "0-5",
        "normal:5",
        "normal:0,1",
        "5|0",
        "a|b",
        "1.5",
        "x:1,2",
        "normal:5,1,9-3",
        "²",
    ],
)
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_lengths(text)


@given(tokens=st.integers(1, 3000), seed=st.integers(0, 10))
def test_synthetic_words_cost_exactly_what_is_wanted(tokens: int, seed: int) -> None:
    words = synthetic_words(CALIBRATION, tokens=tokens, rng=np.random.default_rng(seed))
    assert sum(COSTS[word] for word in words) == tokens


def test_words_without_a_one_token_word_come_as_near_as_they_can() -> None:
    coarse = Calibration(0, ("a", "b"), (3, 5))
    costs = {"a": 3, "b": 5}
    for wanted in range(20):
        words = synthetic_words(coarse, tokens=wanted, rng=np.random.default_rng(wanted))
        assert wanted - 3 < sum(costs[word] for word in words) <= wanted


def test_word_costs_are_worked_out_from_counts() -> None:
    found = calibrate(12, {"a": 12 + 16, "b": 12 + 48, "odd": 12 + 50, "c": 12 + 32, "d": 12 + 16}, times=16)
    assert found is not None
    assert (found.overhead_tokens, found.words, found.costs) == (12, ("a", "b", "c", "d"), (1, 3, 2, 1))
    assert calibrate(12, {"a": 13, "b": 14, "c": 15, "d": 16}, times=16) is None


def test_every_prompt_has_its_wanted_count() -> None:
    requests = [source(Workload(input_tokens=UniformLength(20, 200))).request(i) for i in range(200)]
    assert len({request.prompt for request in requests}) == 200
    for request in requests:
        assert counted(request.prompt) == request.input_tokens
    assert min(request.input_tokens or 0 for request in requests) < 40


def test_a_prompt_below_the_template_is_the_template() -> None:
    request = source(Workload(input_tokens=FixedLength(3))).request(0)
    assert (request.input_tokens, counted(request.prompt)) == (10, 10)


def test_the_same_seed_gives_the_same_requests_in_any_order() -> None:
    workload = Workload(input_tokens=UniformLength(20, 60), output_tokens=UniformLength(5, 50))
    forward = [source(workload).request(i) for i in range(20)]
    backward = [source(workload).request(i) for i in reversed(range(20))]
    assert forward == backward[::-1]
    assert forward != [source(workload, seed=2).request(i) for i in range(20)]


def test_warm_up_and_measured_requests_share_no_prompt() -> None:
    prompts = source(Workload())
    measured = {prompts.request(i).prompt for i in range(100)}
    warm = {prompts.request(i, warmup=True).prompt for i in range(100)}
    assert len(measured) == len(warm) == 100
    assert not measured & warm


def test_salts_isolate_a_stage_or_a_request_or_nothing() -> None:
    def salts(cache: str) -> list[str | None]:
        return [source(Workload(cache=cache)).request(i).cache_salt for i in range(3)]

    assert salts("isolated") == ["s", "s", "s"]
    assert len(set(salts("cold"))) == 3
    assert salts("warm") == [None, None, None]


def test_without_salts_the_words_differ_and_the_lengths_do_not() -> None:
    workload = Workload(input_tokens=UniformLength(50, 90))
    one = [source(workload, salt="a", salted=False).request(i) for i in range(10)]
    other = [source(workload, salt="b", salted=False).request(i) for i in range(10)]
    assert [request.input_tokens for request in one] == [request.input_tokens for request in other]
    assert not {request.prompt for request in one} & {request.prompt for request in other}
    assert {request.cache_salt for request in one + other} == {None}
    warm = Workload(input_tokens=UniformLength(50, 90), cache="warm")
    assert source(warm, salt="a", salted=False).request(0) == source(warm, salt="b", salted=False).request(0)


def test_shared_prefixes_come_in_groups_and_count_into_the_length() -> None:
    workload = Workload(input_tokens=FixedLength(100), shared_prefixes=SharedPrefixes(groups=3, tokens=40))
    requests = [source(workload).request(i) for i in range(60)]
    starts = {" ".join(str(request.prompt).split()[:13]) for request in requests}
    assert len(starts) == 3
    assert all(counted(request.prompt) == 100 for request in requests)
    assert len({request.prompt for request in requests}) == 60


def test_given_prompts_are_all_used_before_any_comes_again() -> None:
    items = tuple(Item(f"prompt {i}", output_tokens=i + 1) for i in range(5))
    prompts = source(Workload(items=items))
    first = [prompts.request(i) for i in range(5)]
    assert {request.prompt for request in first} == {item.prompt for item in items}
    assert {(request.prompt, request.output_tokens) for request in first} == {
        (i.prompt, i.output_tokens) for i in items
    }
    assert first[0].input_tokens is None
    assert prompts.request(0, warmup=True).prompt not in {item.prompt for item in items}


def test_a_workload_survives_its_json_form() -> None:
    workload = Workload(
        input_tokens=UniformLength(1, 2),
        api="completions",
        streamed=False,
        cache="cold",
        exact_output=False,
        shared_prefixes=SharedPrefixes(2, 3),
        items=(Item("a"), Item("b", 5, later=("c", "d")), Item(None, 5, 700, (1, 2))),
        in_order=True,
        extra={"temperature": 0},
    )
    assert workload_from_json(json.loads(json.dumps(workload.to_json()))) == workload


@pytest.mark.parametrize(
    "data",
    [
        {"api": "x"},
        {"cache": "x"},
        {"input_tokens": 0},
        {"what": 1},
        {"shared_prefixes": {"groups": 0, "tokens": 1}},
    ],
)
def test_what_is_no_workload_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        workload_from_json(data)


def test_the_guess_makes_prompts_too() -> None:
    words = synthetic_words(GUESS, tokens=50, rng=np.random.default_rng(0))
    assert len(join_prompt([words]).split()) == 51
