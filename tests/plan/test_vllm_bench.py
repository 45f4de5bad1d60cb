from __future__ import annotations

import shlex

import pytest

from harness.errors import ConfigError
from harness.plan.vllm_bench import Bench, bench_of, options_of


def bench(options: str) -> Bench:
    return bench_of(options_of(shlex.split(options)))


def test_options_are_read_by_their_names_and_the_last_one_wins() -> None:
    assert options_of(["--num_prompts", "5", "--num-prompts=7", "--ignore-eos", "--goodput", "ttft:5", "tpot:6"]) == {
        "num-prompts": "7", "ignore-eos": "", "goodput": "ttft:5 tpot:6",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ("--max-concurrency 8 --num-prompts 100", {"concurrency": 8, "requests": 100}),
        ("--max-concurrency 800 --num-prompts 100", {"concurrency": 100, "requests": 100}),
        ("--num-prompts 100", {"concurrency": 100, "requests": 100}),
        ("--request-rate inf", {"concurrency": 1000, "requests": 1000}),
        ("--request-rate 2.5 --num-prompts 9", {"rate": 2.5, "requests": 9}),
        (
            "--request-rate 2 --burstiness 0.5",
            {"rate": 2, "requests": 1000, "arrivals": "gamma", "burstiness": 0.5},
        ),
        ("--request-rate 2 --burstiness inf", {"rate": 2, "requests": 1000, "arrivals": "constant"}),
    ],
)
def test_concurrency_and_rate_become_a_load_level(options: str, level: dict[str, object]) -> None:
    assert bench(options).level == level


@pytest.mark.parametrize(
    ("options", "workload"),
    [
        ("", {"api": "completions", "input-tokens": 1024, "output-tokens": 128, "seed": 0}),
        ("--backend openai-chat --random-input-len 512 --random-output-len 64 --random-prefix-len 100 --seed 3",
         {"api": "chat", "input-tokens": 512, "output-tokens": 64, "prefix-tokens": 100, "seed": 3}),
        ("--input-len 99 --output-len 9 --random-input-len 1",
         {"api": "completions", "input-tokens": 99, "output-tokens": 9, "seed": 0}),
        ("--random-input-len 100 --random-output-len 10 --random-range-ratio 0.25",
         {"api": "completions", "seed": 0,
          "input-tokens": {"distribution": "uniform", "min": 75, "max": 125},
          "output-tokens": {"distribution": "uniform", "min": 7, "max": 13}}),
        ("--dataset-name prefix_repetition --prefix-repetition-num-prefixes 4",
         {"api": "completions", "input-tokens": 256, "output-tokens": 128, "prefix-tokens": 256, "prefix-groups": 4,
          "seed": 0}),
        ("""--temperature 0 --top-p 0.9 --extra-body '{"min_tokens": 5}'""",
         {"api": "completions", "input-tokens": 1024, "output-tokens": 128, "seed": 0,
          "extra": {"temperature": 0, "top_p": 0.9, "min_tokens": 5}}),
    ],
)  # fmt: skip
def test_the_dataset_becomes_a_workload(options: str, workload: dict[str, object]) -> None:
    found = bench(options)
    assert found.workload == workload
    assert found.unknown == []


def test_what_has_no_counterpart_is_named_with_its_reason() -> None:
    found = bench(
        "--dataset-name sharegpt --dataset-path x.json --request-rate 2 --max-concurrency 4 --num-warmups 3"
    )
    assert len(found.notes) == 3
    assert found.notes[0] == "--dataset-name sharegpt x.json: no counterpart; synthetic prompts instead"
    assert found.notes[1].startswith("--max-concurrency 4 beside a rate: no counterpart")
    assert found.notes[2].startswith("--num-warmups 3: no counterpart; warm-up is timed")


def test_an_option_that_vllm_does_not_have_is_named_and_a_header_not_shown() -> None:
    found = bench("--max-concurrency 1 --colour blue --header 'Authorization=Bearer sesame' --save-result")
    assert found.unknown == ["--colour"]
    assert found.notes == [
        "--header: no counterpart; not sent",
        "--save-result: every request is kept in the run's folder",
    ]


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="--num-prompts is not a number: 'many'"):
        bench("--num-prompts many")
