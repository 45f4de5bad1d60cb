"""Expectations worked out from vLLM's documentation of its params files; ``test_vllm_peer.py`` asks vLLM itself."""

from __future__ import annotations

import pytest

from harness.errors import ConfigError
from harness.plan.vllm_params import applied, combinations, links_of, name_of, pairs


@pytest.mark.parametrize(
    ("combination", "expected"),
    [
        ({"max_num_seqs": 32}, ["--max-num-seqs", "32"]),
        ({"max-num-seqs": 32}, ["--max-num-seqs", "32"]),
        ({"enable_prefix_caching": True}, ["--enable-prefix-caching"]),
        ({"enable_prefix_caching": False}, ["--no-enable-prefix-caching"]),
        ({"compilation_config.use_inductor_graph_partition": True},
         ["--compilation-config.use_inductor_graph_partition=true"]),
        ({"compilation_config.pass_config.fuse_norm_quant": False},
         ["--compilation-config.pass_config.fuse_norm_quant=false"]),
        ({"compilation_config.mode": 3}, ["--compilation-config.mode", "3"]),
        ({"compilation_config": {"mode": 3}}, ["--compilation-config", '{"mode": 3}']),
        ({"gpu_memory_utilization": 0.9}, ["--gpu-memory-utilization", "0.9"]),
        ({"quantization": None}, ["--quantization", "None"]),
        ({"_benchmark_name": "x", "seed": 1}, ["--seed", "1"]),
    ],
)  # fmt: skip
def test_a_key_becomes_an_argument(combination: dict[str, object], expected: list[str]) -> None:
    assert applied(["vllm", "serve", "m"], combination) == ["vllm", "serve", "m", *expected]


def test_what_the_command_has_already_is_replaced_where_it_stands() -> None:
    command = ["vllm", "serve", "m", "--max_num_seqs", "8", "--enable-prefix-caching", "--seed", "1"]
    assert applied(command, {"max-num-seqs": 32, "enable_prefix_caching": False}) == [
        "vllm", "serve", "m", "--max-num-seqs", "32", "--no-enable-prefix-caching", "--seed", "1",
    ]  # fmt: skip


def test_a_value_written_with_an_equals_sign_is_not_found_and_the_new_one_comes_later() -> None:
    assert applied(["--seed=1"], {"seed": 2}) == ["--seed=1", "--seed", "2"]


def test_a_mapping_names_its_combinations() -> None:
    found = combinations({"a": {"seed": 1}, "b": {}}, "x.json")
    assert [name_of(each) for each in found] == ["a", "b"]
    assert [name_of(each) for each in combinations([{"seed": 1, "x": True}, {}], "x.json")] == [
        "seed=1,x=True",
        "default",
    ]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (3, "expected a list"),
        ([{"a": 1}, 2], "item 1 is not a mapping"),
        ({"a": [1]}, "'a' is not a mapping"),
        ([{"_benchmark_name": "x"}, {"_benchmark_name": "x"}], "two combinations are called 'x'"),
    ],
)
def test_what_is_no_params_file_is_refused(document: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        combinations(document, "x.json")


def test_linked_variables_keep_the_pairs_whose_values_are_equal() -> None:
    serves, benches = [{"s": 1}, {"s": 2}, {}], [{"b": 1}, {"b": 2}, {"b": 2, "c": 0}]
    assert list(pairs(serves, benches, links_of("s=b"))) == [(0, 0), (1, 1), (1, 2)]
    assert len(list(pairs(serves, benches, ()))) == 9
    with pytest.raises(ConfigError, match="SERVE=BENCH"):
        links_of("s")


def test_a_command_that_ends_where_a_value_was_due_is_refused() -> None:
    with pytest.raises(ConfigError, match="'--seed' ends the command"):
        applied(["vllm", "--seed"], {"seed": 1})
