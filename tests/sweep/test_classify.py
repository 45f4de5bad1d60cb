"""Causes read off the engine's own start-up lines, as vLLM prints them."""

from __future__ import annotations

import pytest

from harness.params.rules import RULES
from harness.sweep.classify import PATTERNS, classify_log

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
        ("ValueError: Load format `bogus` is not supported", "bad-argument", None),
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
    assert len(named) > 5
    assert named <= {rule.CODE for rule in RULES}
