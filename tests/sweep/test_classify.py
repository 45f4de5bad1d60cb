"""Causes read off the engine's own start-up lines, as vLLM prints them."""

from __future__ import annotations

import pytest

from harness.errors import CapacityError, HarnessError, InvalidError, NotFoundError
from harness.params.rules import RULES
from harness.sweep.classify import classify_error, classify_log
from harness.sweep.failures import PATTERNS

WRAPPER = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"


@pytest.mark.parametrize(
    ("line", "cause", "rule"),
    [
        ("vllm: error: unrecognized arguments: --bogus 3", "bad-argument", "unknown-flag"),
        ("vllm serve: error: argument --seed: invalid int value: 'x'", "bad-argument", "wrong-type"),
        (
            "ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB KV",
            "out-of-memory",
            "gpu-memory",
        ),
        (
            "ValueError: No available memory for the cache blocks. Try increasing",
            "out-of-memory",
            "gpu-memory",
        ),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB",
            "out-of-memory",
            "gpu-memory",
        ),
        ("ValueError: Load format `bogus` is not supported", "bad-argument", "load-options"),
        ("ValueError: Invalid repository ID or local directory specified: 'bogus'.", "model-missing", None),
        ("Back-off: ImagePullBackOff", "image", None),
    ],
)
def test_the_root_cause_is_found_above_the_wrapper_line(line: str, cause: str, rule: str | None) -> None:
    found = classify_log(["INFO starting", line, WRAPPER])
    assert (found.cause, found.rule) == (cause, rule)
    assert found.message in line


def test_a_log_that_says_nothing_known_is_unknown_with_its_last_words() -> None:
    assert classify_log(["INFO a", "INFO b", ""]).message == "INFO b"
    assert classify_log([]).cause == "unknown"


def test_every_rule_that_is_named_exists() -> None:
    named = {rule for _, _, rule in PATTERNS if rule is not None}
    assert len(named) > 40
    assert named <= {rule.CODE for rule in RULES}


# Whole ends of logs, as engines of both versions left them.
LOGS = {
    "a warning that names an error is none": (
        "(APIServer pid=93) WARNING 11-23 12:46:33 [system_utils.py:258] Found ulimit of 20000 and failed to "
        "automatically increase with error current limit exceeds maximum limit. This can cause fd limit errors like "
        "`OSError: [Errno 24] Too many open files`. Consider increasing with ulimit -n\n"
        '    raise ValueError(f"No tokenizer registered for {tokenizer_mode=!r}.")\n'
        "ValueError: No tokenizer registered for tokenizer_mode='bogus'.",
        "bad-argument",
        None,
        "No tokenizer registered for tokenizer_mode='bogus'.",
    ),
    "the words of an error before they are filled in are passed over": (
        '(EngineCore_DP0 pid=7) ERROR 11-23 12:37:02 [core.py:946]     raise ValueError(f"Load format '
        '`{load_format}` is not supported")\n'
        "(EngineCore_DP0 pid=7) ERROR 11-23 12:37:02 [core.py:946] ValueError: Load format `bogus` is not supported\n"
        + WRAPPER,
        "bad-argument",
        "load-options",
        "Load format `bogus` is not supported",
    ),
    "a check of a configuration object takes several lines": (
        "(APIServer pid=8) pydantic_core._pydantic_core.ValidationError: 1 validation error for CacheConfig\n"
        "(APIServer pid=8) gpu_memory_utilization\n"
        "(APIServer pid=8)   Input should be less than or equal to 1 [type=less_than_equal, input_value=90.0, "
        "input_type=float]",
        "bad-argument",
        "out-of-range",
        "gpu_memory_utilization Input should be less than or equal to 1 [type=less_than_equal, input_value=90.0, "
        "input_type=float]",
    ),
    "an assertion without a word": (
        "    assert self.ssl_certfile\nAssertionError",
        "bad-argument",
        None,
        "AssertionError",
    ),
    "the wrapper alone says nothing": (WRAPPER, "unknown", None, WRAPPER),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_whole_log_is_told_by_its_root_cause(name: str) -> None:
    log, cause, rule, message = LOGS[name]
    found = classify_log(log.split("\n"))
    assert (found.cause, found.rule, found.message) == (cause, rule, message)


@pytest.mark.parametrize(
    ("error", "cause", "rule"),
    [
        (
            InvalidError(
                "create-deployment",
                status=400,
                detail="One or more vLLM parameters are invalid.",
                errors=["Parameter 'foo-bar' is not allowed for vLLM 0.19.1"],
            ),
            "bad-argument",
            "not-offered",
        ),
        (
            InvalidError("create-deployment", status=400, detail="GPU type must be valid"),
            "refused-request",
            None,
        ),
        (NotFoundError("create-deployment", status=404, detail="model not found"), "model-missing", None),
        (NotFoundError("get-deployment", status=404, detail="no such deployment"), "gone", None),
        (CapacityError("create-deployment", status=412, detail="no GPUs"), "no-capacity", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_refusal_of_the_platform_has_its_class(error: HarnessError, cause: str, rule: str | None) -> None:
    found = classify_error(error)
    assert (found.cause, found.rule) == (cause, rule)
