"""Sequence length, tokens per step and sequences, ranges."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.diagnostics import Diagnostic, Severity

Find = Callable[..., list[Diagnostic]]


@pytest.mark.parametrize(
    ("model", "longest"),
    [
        ("llama-8b", 131072),
        ("qwen2.5-7b", 32768),
        ("qwen3-yarn", 131072),  # 32,768 x 4, not 40,960 x 4
        ("gpt-oss-20b", 131072),  # 4,096 x 32
        ("gemma3-4b", 131072),  # stated with its scaling
        ("deepseek-v3-fp8", 163840),  # 4,096 x 40
        ("phi3-longrope", 131072),
        ("gpt2", 1024),
        ("whisper-small", 448),
    ],
)
def test_one_token_above_the_models_limit_is_refused(find: Find, model: str, longest: int) -> None:
    assert find("sequence-length", f"--max-model-len {longest}", model=model) == []
    (finding,) = find("sequence-length", f"--max-model-len {longest + 1}", model=model)
    assert finding.is_error
    assert finding.hint == f"--max-model-len {longest} at most"


def test_without_its_sliding_window_a_model_is_as_long_as_the_window(find: Find) -> None:
    words = "--disable-sliding-window --max-model-len 8192"
    (finding,) = find("sequence-length", words, model="mistral-7b-window")
    assert "4096" in finding.message
    assert "sliding_window" in finding.message


def test_overrides_of_the_model_count(find: Find) -> None:
    words = """--hf-overrides '{"max_position_embeddings": 8192}' --max-model-len 16384"""
    assert len(find("sequence-length", words, model="llama-8b")) == 1


def test_another_configuration_file_is_not_known(find: Find) -> None:
    assert find("sequence-length", "--hf-config-path x --max-model-len 999999", model="llama-8b") == []


@pytest.mark.parametrize(
    ("value", "version", "severity"),
    [
        ("0", "0.15.1", Severity.ERROR),
        ("-2", "0.15.1", Severity.ERROR),
        ("-1", "0.12.0", Severity.ERROR),
    ],
)
def test_a_length_below_one_is_none(find: Find, value: str, version: str, severity: Severity) -> None:
    (finding,) = find("sequence-length", f"--max-model-len={value}", version=version, model="llama-8b")
    assert finding.severity is severity


def test_auto_lets_0_15_choose(find: Find) -> None:
    assert find("sequence-length", "--max-model-len auto", model="llama-8b") == []


@pytest.mark.parametrize(
    ("words", "gpu_type", "refused"),
    [
        ("--max-num-seqs 2048", "gpua5000", False),
        ("--max-num-seqs 2049", "gpua5000", True),
        ("--max-num-seqs 2049", "gpurtx6000pro", False),
        ("--max-num-seqs 8193", "gpurtx6000pro", True),
        ("--max-num-seqs 128 --max-num-batched-tokens 64", None, True),
        (
            "--max-num-batched-tokens 64",
            "gpua5000",
            False,
        ),  # the default number of sequences is lowered to 64
        ("--max-num-seqs 4096 --max-num-batched-tokens 4k", None, True),  # 4k is 4,000
        ("--max-num-seqs 4096 --max-num-batched-tokens 4K", None, False),  # 4K is 4,096
    ],
)
def test_a_step_holds_every_sequence(find: Find, words: str, gpu_type: str | None, refused: bool) -> None:
    found = find("batched-tokens", words, model="llama-8b", gpu_type=gpu_type)
    assert [finding.severity for finding in found] == [Severity.ERROR] * refused


def test_without_a_model_the_default_step_gives_a_warning(find: Find) -> None:
    (finding,) = find("batched-tokens", "--max-num-seqs 4096", gpu_type="gpua5000")
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("--no-enable-chunked-prefill", False),  # the default step grows to the length
        ("--no-enable-chunked-prefill --max-num-batched-tokens 4096", True),
        ("--no-enable-chunked-prefill --max-num-batched-tokens 4096 --max-model-len 4096", False),
        ("--enable-chunked-prefill --max-num-batched-tokens 4096", False),
    ],
)
def test_whole_prompts_need_whole_steps(find: Find, words: str, refused: bool) -> None:
    assert bool(find("chunked-prefill", words, model="llama-8b", gpu_type="gpua5000")) is refused


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("--gpu-memory-utilization 1", False),
        ("--gpu-memory-utilization 0", True),
        ("--gpu-memory-utilization nan", True),
        ("--swap-space=-1", True),
        ("--cpu-offload-gb 0", False),
        ("--mamba-block-size 0", True),
        ("--stream-interval 0", True),
        ("--kv-cache-metrics-sample 0", True),
        ("--max-loras 0", False),  # not looked at without LoRA
        ("--enable-lora --max-loras 0", True),
        ("--video-pruning-rate 1", False),  # not looked at for a text model
    ],
)
def test_numbers_stay_in_their_ranges(find: Find, words: str, refused: bool) -> None:
    assert bool(find("out-of-range", words, model="llama-8b")) is refused


def test_video_options_are_looked_at_for_multimodal_models(find: Find) -> None:
    assert len(find("out-of-range", "--video-pruning-rate 1", model="gemma3-4b")) == 1


def test_a_share_in_percent_is_mended(find: Find) -> None:
    (finding,) = find("out-of-range", "--gpu-memory-utilization=95")
    assert finding.fix is not None
    assert finding.fix.items == ("--gpu-memory-utilization=0.95",)
    (finding,) = find("out-of-range", "--gpu-memory-utilization 95")
    assert finding.fix is not None
    assert (finding.fix.first, finding.fix.last, finding.fix.items) == (1, 2, ("0.95",))


def test_swap_space_of_all_gpus_is_added(find: Find) -> None:
    assert find("swap-space", "--swap-space 100") == []
    (warned,) = find("swap-space", "--swap-space 300")
    assert warned.severity is Severity.WARNING
    (refused,) = find("swap-space", "--swap-space 100 -tp 4")
    assert refused.is_error
