"""Parallel sizes against GPUs, heads and each other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.diagnostics import Diagnostic, Severity

Find = Callable[..., list[Diagnostic]]


def test_the_sizes_of_one_engine_multiply(find: Find) -> None:
    (finding,) = find("too-few-gpus", "-tp 2 -pp 4", gpu_count=4)
    assert finding.is_error
    assert finding.message == "the engine needs 8 GPUs (2 x 4), a replica has 4"
    assert (finding.index, finding.start, finding.end) == (1, 0, 1)


def test_enough_gpus_are_enough(find: Find) -> None:
    assert find("too-few-gpus", "-tp 2 -pp 4", gpu_count=8) == []


def test_an_unknown_gpu_count_is_not_judged(find: Find) -> None:
    assert find("too-few-gpus", "-tp 64") == []


def test_with_an_explicit_executor_the_workers_fail_later(find: Find) -> None:
    (finding,) = find("too-few-gpus", "-tp 4 --distributed-executor-backend mp", gpu_count=2)
    assert finding.severity is Severity.WARNING


def test_data_parallel_copies_count_too_but_only_as_a_warning(find: Find) -> None:
    (finding,) = find("too-few-gpus", "-tp 2 -dp 2", gpu_count=2)
    assert finding.severity is Severity.WARNING
    assert "4 GPUs" in finding.message


@pytest.mark.parametrize(
    ("size", "fits"), [(1, True), (2, True), (4, True), (5, False), (6, False), (8, True)]
)
def test_heads_divide_or_not(find: Find, size: int, fits: bool) -> None:
    assert (find("heads-not-divisible", f"-tp {size}", model="llama-8b", gpu_count=8) == []) is fits


def test_heads_of_a_model_with_28_do_not_divide_by_8(find: Find) -> None:
    (finding,) = find("heads-not-divisible", "-tp 8", model="qwen2.5-7b", gpu_count=8)
    assert finding.hint == "a tensor-parallel size that divides 28: 1, 2, 4"


def test_only_one_rule_speaks_about_a_size_that_is_too_large_and_odd(find: Find) -> None:
    assert len(find("too-few-gpus", "-tp 5", model="llama-8b", gpu_count=2)) == 1
    assert find("heads-not-divisible", "-tp 5", model="llama-8b", gpu_count=2) == []


@pytest.mark.parametrize("flag", ["-tp", "-dcp", "-dp"])
def test_zero_divides_nothing(find: Find, flag: str) -> None:
    (finding,) = find("parallel-size", f"{flag} 0", model="llama-8b", gpu_count=1)
    assert finding.is_error


def test_a_negative_size_is_refused_later(find: Find) -> None:
    (finding,) = find("parallel-size", "-pp=-1", model="llama-8b", gpu_count=1)
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("words", "model", "refused"),
    [
        ("-tp 4 -dcp 2", "deepseek-v2-lite", False),  # latent attention
        ("-tp 4 -dcp 3", "deepseek-v2-lite", True),  # 4 is no multiple of 3
        ("-tp 8 -dcp 2", "llama-8b", True),  # 8 GPUs are not more than 8 key-value heads
        ("-tp 8 -dcp 2", "qwen2.5-7b", True),  # 8 // 4 = 2 allows 2, but 28 / 4 = 7 does not divide by 2
        ("-tp 8 -dcp 2", "qwen3-30b-a3b", False),  # 8 // 4 = 2, and 32 / 4 = 8 divides by 2
        ("-tp 8 -dcp 4", "qwen3-30b-a3b", True),  # 8 // 4 = 2 is below 4
    ],
)
def test_decode_context_parallelism(find: Find, words: str, model: str, refused: bool) -> None:
    assert bool(find("context-parallel", words, model=model, gpu_count=8)) is refused


def test_prefill_context_parallelism_is_refused_in_0_12_only(find: Find) -> None:
    assert len(find("context-parallel", "-pcp 2", version="0.12.0", gpu_count=2)) == 1
    assert find("context-parallel", "-pcp 2", version="0.15.1", gpu_count=2) == []


@pytest.mark.parametrize(
    ("model", "refused"), [("llama-8b", True), ("mixtral-8x7b", False), ("gpt-oss-20b", False)]
)
def test_expert_parallelism_needs_experts(find: Find, model: str, refused: bool) -> None:
    assert bool(find("expert-parallel", "--enable-expert-parallel", model=model)) is refused


def test_expert_parallelism_of_an_unknown_model_is_not_judged(find: Find) -> None:
    assert find("expert-parallel", "--enable-expert-parallel") == []


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("-dp 2 --data-parallel-rank 1", False),
        ("-dp 2 --data-parallel-rank 2", True),
        ("--data-parallel-rank 0", True),
        ("-dp 2 -dpl 3", True),
        ("-dp 2 --data-parallel-external-lb", True),
        ("--data-parallel-hybrid-lb", True),
        ("-dp 2 -dpl 2 --data-parallel-hybrid-lb", False),
        ("-dp 4 -dpl 2 --data-parallel-start-rank 2", False),
        ("-dp 4 -dpl 2 --data-parallel-start-rank 4", True),
        ("-dp 2 -dpl 2 --data-parallel-rank 0", True),
    ],
)
def test_data_parallel_flags_agree(find: Find, words: str, refused: bool) -> None:
    assert bool(find("data-parallel", words)) is refused


def test_rank_and_start_rank_exclude_each_other_since_0_15(find: Find) -> None:
    words = "-dp 2 --data-parallel-rank 0 --data-parallel-start-rank 1"
    assert len(find("data-parallel", words, version="0.15.1")) == 1
    assert find("data-parallel", words, version="0.12.0") == []


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("--nnodes 2 -tp 2", False),
        ("--nnodes 2 -tp 3", True),
        ("--nnodes 2 -tp 2 --node-rank 2", True),
        ("--nnodes 2 -tp 2 --distributed-executor-backend ray", True),
        ("--nnodes 1 --node-rank 3", False),
    ],
)
def test_several_nodes_share_the_gpus_evenly(find: Find, words: str, refused: bool) -> None:
    assert bool(find("several-nodes", words)) is refused


def test_a_headless_engine_is_only_a_warning_in_0_12(find: Find) -> None:
    (older,) = find("headless", "--headless -asc 1", version="0.12.0")
    (newer,) = find("headless", "--headless -asc 1", version="0.15.1")
    assert (older.severity, newer.severity) == (Severity.WARNING, Severity.ERROR)
