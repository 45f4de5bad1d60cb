"""The quantization flag against the version, the checkpoint, the GPU and the activation type."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.diagnostics import Diagnostic, Severity

Find = Callable[..., list[Diagnostic]]
CODES = (
    "unknown-quantization",
    "quantization-mismatch",
    "quantization-deprecated",
    "quantization-not-in-checkpoint",
    "quantization-capability",
    "quantization-dtype",
)


@pytest.mark.parametrize(
    ("words", "model", "gpu_type", "version", "code"),
    [
        ("-q fp8", "llama-8b", "gpua5000", "0.15.1", None),
        ("-q FP8", "llama-8b", "gpua5000", "0.12.0", None),
        ("-q fp8", "llama-8b", "gpu2", "0.15.1", "quantization-capability"),  # 7.0 is below 7.5
        ("-q awq", "llama-8b", "gpua5000", "0.15.1", "quantization-not-in-checkpoint"),
        ("-q rtn", "llama-8b", "gpua5000", "0.12.0", None),
        ("-q rtn", "llama-8b", "gpua5000", "0.15.1", "unknown-quantization"),
        ("-q int4", "llama-8b", None, "0.15.1", "unknown-quantization"),
        ("-q experts_int8", "llama-8b", "gpua5000", "0.15.1", "quantization-deprecated"),
        ("-q experts_int8 --allow-deprecated-quantization", "llama-8b", "gpua5000", "0.15.1", None),
        ("-q experts_int8", "llama-8b", "gpua5000", "0.12.0", None),
        ("", "llama-awq", "gpua5000", "0.15.1", None),  # taken over by the Marlin kernels
        ("", "llama-awq", "gpu2", "0.15.1", "quantization-capability"),  # not on 7.0, and AWQ needs 7.5
        ("", "llama-gptq", "gpu2", "0.15.1", None),  # plain GPTQ runs on 6.0, in float16
        ("-q awq", "llama-awq", "gpua5000", "0.15.1", "quantization-dtype"),  # the checkpoint is bfloat16
        ("-q awq --dtype half", "llama-awq", "gpua5000", "0.15.1", None),
        ("-q awq_marlin", "llama-awq", "gpua5000", "0.15.1", None),
        ("-q marlin", "llama-gptq", "gpua5000", "0.15.1", None),
        ("-q gptq_marlin", "llama-gptq", "gpu2", "0.15.1", "quantization-mismatch"),
        ("-q fp8", "llama-gptq", "gpua5000", "0.15.1", "quantization-mismatch"),
        ("--dtype float32", "llama-awq", "gpua5000", "0.15.1", "quantization-dtype"),
        ("-q None", "llama-8b", "gpua5000", "0.15.1", None),
        ("", "gpt-oss-20b", "gpua5000", "0.15.1", None),
        ("", "gpt-oss-20b", "gpu2", "0.15.1", "quantization-capability"),
        ("", "llama-fp8", "gpu2", "0.12.0", "quantization-capability"),
    ],
)
def test_one_rule_speaks_or_none(
    find: Find, words: str, model: str, gpu_type: str | None, version: str, code: str | None
) -> None:
    said = [name for name in CODES if find(name, words, model=model, gpu_type=gpu_type, version=version)]
    assert said == ([] if code is None else [code])


def test_a_checkpoint_on_an_unknown_gpu_is_not_judged(find: Find) -> None:
    assert all(find(code, "", model="llama-awq") == [] for code in CODES)


def test_a_mismatch_can_be_mended_by_leaving_the_flag_out(find: Find) -> None:
    (finding,) = find(
        "quantization-mismatch", "--seed 1 --quantization fp8", model="llama-awq", gpu_type="gpu3"
    )
    assert finding.fix is not None
    assert (finding.fix.first, finding.fix.last, finding.fix.items) == (2, 4, ())


@pytest.mark.parametrize("model", ["gemma2-9b", "gemma3-4b"])
def test_models_that_lose_their_numbers_in_float16(find: Find, model: str) -> None:
    (finding,) = find("dtype-not-supported", "--dtype half", model=model, gpu_type="gpua5000")
    assert finding.is_error
    assert find("dtype-not-supported", "--dtype bfloat16", model=model, gpu_type="gpua5000") == []


def test_bfloat16_on_an_old_gpu_is_refused_by_the_worker_only(find: Find) -> None:
    (finding,) = find("dtype-not-supported", "--dtype bfloat16", model="llama-8b", gpu_type="gpu2")
    assert finding.severity is Severity.WARNING
