"""Repeats, cancelled switches, defaults, abbreviations, deprecated flags, flags without effect."""

from __future__ import annotations

from collections.abc import Callable

from harness.diagnostics import Diagnostic, Severity

Find = Callable[..., list[Diagnostic]]


def test_every_use_but_the_last_is_reported(find: Find) -> None:
    found = find("repeated-flag", "--seed 1 --seed=2 --seed 3")
    assert [(finding.index, finding.fix and finding.fix.last) for finding in found] == [(0, 2), (2, 3)]


def test_the_alias_of_a_flag_is_the_same_flag(find: Find) -> None:
    assert len(find("repeated-flag", "-tp 2 --tensor-parallel-size 4")) == 1


def test_flags_that_add_may_be_repeated(find: Find) -> None:
    assert find("repeated-flag", "--middleware a --middleware b") == []


def test_a_switch_and_its_opposite_cancel(find: Find) -> None:
    words = "--enable-prefix-caching --no-enable-prefix-caching"
    (finding,) = find("cancelled-flag", words)
    assert finding.index == 0
    assert find("repeated-flag", words) == []


def test_a_switch_twice_is_a_repeat(find: Find) -> None:
    assert find("cancelled-flag", "--enforce-eager --enforce-eager") == []
    assert len(find("repeated-flag", "--enforce-eager --enforce-eager")) == 1


def test_defaults_are_a_remark(find: Find) -> None:
    (finding,) = find("default-value", "--gpu-memory-utilization 0.90")
    assert finding.severity is Severity.INFO
    assert find("default-value", "--gpu-memory-utilization 0.91") == []
    assert len(find("default-value", "--no-enforce-eager")) == 1
    assert find("default-value", "--enforce-eager") == []


def test_the_platform_may_set_the_tensor_parallel_size(find: Find) -> None:
    assert find("default-value", "-tp 1") == []


def test_an_abbreviation_is_spelled_out_with_its_value(find: Find) -> None:
    (finding,) = find("abbreviated-flag", "--max-model=4096")
    assert finding.fix is not None
    assert finding.fix.items == ("--max-model-len=4096",)
    assert find("abbreviated-flag", "--max_model_len=4096 -tp 2") == []


def test_deprecated_flags_name_what_replaces_them(find: Find) -> None:
    (finding,) = find("deprecated-flag", "--task embed", version="0.12.0")
    assert finding.hint == "write --runner or --convert"


def test_lora_limits_do_nothing_without_lora(find: Find) -> None:
    assert len(find("no-effect", "--max-lora-rank 32")) == 1
    assert find("no-effect", "--max-lora-rank 32 --enable-lora") == []
    assert len(find("no-effect", "--tool-call-parser=hermes")) == 1
    assert find("no-effect", "--tool-call-parser=hermes --enable-auto-tool-choice") == []


def test_eager_execution_overrules_cuda_graphs(find: Find) -> None:
    (finding,) = find("no-effect", "--enforce-eager --max-cudagraph-capture-size 64")
    assert finding.index == 1


def test_an_abbreviated_key_is_not_written_out(find: Find) -> None:
    (finding,) = find("abbreviated-flag", "--hf-tok=hf_secret")
    assert finding.fix is None
    assert "secret" not in finding.message
    (finding,) = find("abbreviated-flag", "--hf-tok hf_secret")
    assert finding.fix is not None
    assert finding.fix.items == ("--hf-token",)
