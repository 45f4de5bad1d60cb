"""Weights and cache against the GPUs' memory; expectations from published start-up logs and by hand.

Llama 3.1 8B has 8.03e9 parameters, 15.0 GiB in 16 bits, and 131,072 bytes of cache per token, 16 GiB for 131,072.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.diagnostics import Diagnostic, Severity, Stage

Find = Callable[..., list[Diagnostic]]


@pytest.mark.parametrize(
    ("gpu_type", "gpu_count", "words", "fits"),
    [
        ("a6000", 1, "", True),  # the published log has 221,824 tokens of cache
        ("a100-40", 1, "", True),  # 163,168 tokens
        ("gpua5000", 1, "", False),  # 15.0 + 16.0 GiB against 0.9 x 23.6
        ("gpua5000", 1, "--max-model-len 16384", True),  # 15.0 + 2.0 GiB
        ("gpua5000", 2, "", True),  # 7.5 + 8.0 GiB on each
        ("gpua5000", 2, "-tp 1", False),  # the second GPU is not used
        (
            "gpua5000",
            1,
            "--kv-cache-dtype fp8 --max-model-len 65536",
            False,
        ),  # 15.0 + 4.0 + 1.2 GiB of 21.2: close
        ("gpu3080ti", 1, "--max-model-len 1024", False),  # the weights alone are above 11.8 GiB
        ("gpu3080ti", 2, "--max-model-len 4096", True),
        ("gpu3", 1, "--gpu-memory-utilization 0.35", False),  # 15.5 GiB in all
    ],
)
def test_llama_8b_fits_or_not(find: Find, gpu_type: str, gpu_count: int, words: str, fits: bool) -> None:
    found = find("gpu-memory", words, model="llama-8b", gpu_type=gpu_type, gpu_count=gpu_count)
    errors = [finding for finding in found if finding.is_error]
    if "fp8" in words:
        assert errors == []  # within the margin it is not certain
    else:
        assert bool(errors) is not fits
    assert all(finding.stage is Stage.STARTUP for finding in found)


def test_the_longest_sequence_that_fits_is_named_and_fits(find: Find) -> None:
    facts = {"model": "llama-8b", "gpu_type": "gpua5000", "gpu_count": 1}
    (finding,) = find("gpu-memory", "", **facts)
    assert finding.hint is not None
    longest = int(finding.hint.split()[1])
    assert 40_000 < longest < 50_000  # (21.2 - 15.0 - 0.7) GiB / 131,072 bytes
    at_most = find("gpu-memory", f"--max-model-len {longest}", **facts)
    assert not any(finding.is_error for finding in at_most)
    beyond = find("gpu-memory", f"--max-model-len {longest + 8192}", **facts)
    assert [finding.severity for finding in beyond] == [Severity.ERROR]


def test_auto_length_needs_room_for_a_block_only(find: Find) -> None:
    words = "--max-model-len auto"
    assert find("gpu-memory", words, model="llama-8b", gpu_type="gpua5000", gpu_count=1) == []


@pytest.mark.parametrize("missing", ["gpu_type", "gpu_count", "model"])
def test_a_missing_fact_keeps_the_rule_silent(find: Find, missing: str) -> None:
    facts = {"model": "llama-8b", "gpu_type": "gpu3080ti", "gpu_count": 1}
    assert find("gpu-memory", "", **facts)
    del facts[missing]
    assert find("gpu-memory", "", **facts) == []


@pytest.mark.parametrize("model", ["deepseek-v2-lite", "gemma3-4b", "mamba-130m", "whisper-small"])
def test_models_outside_the_arithmetic_are_not_judged(find: Find, model: str) -> None:
    assert find("gpu-memory", "", model=model, gpu_type="gpu3080ti", gpu_count=1) == []


@pytest.mark.parametrize("words", ["-tp 2", "--max-model-len 200000", "-q awq_marlin", "-tp 0"])
def test_a_list_that_another_rule_refuses_is_not_weighed(find: Find, words: str) -> None:
    facts = {"model": "llama-gptq", "gpu_type": "gpua5000", "gpu_count": 1}
    assert find("gpu-memory", words, **facts) == []


def test_a_quantized_checkpoint_weighs_less(find: Find) -> None:
    words = "--max-model-len 8192"
    assert find("gpu-memory", words, model="llama-awq", gpu_type="gpu3080ti", gpu_count=1) == []
