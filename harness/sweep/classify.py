"""From a deployment's log lines to why it did not start, and the lint rule that would have said so. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import (
    ApiError,
    CapacityError,
    ConflictError,
    EndpointError,
    EngineStartError,
    ForbiddenError,
    HarnessError,
    InvalidError,
    NetworkError,
    NotFoundError,
    PlatformError,
    RateLimitedError,
)

# The cause in the report for an error of the platform or of the endpoint, most particular class first.
CAUSES: tuple[tuple[type[HarnessError], str], ...] = (
    (CapacityError, "no-capacity"),
    (InvalidError, "refused-request"),
    (NotFoundError, "model-missing"),
    (ForbiddenError, "forbidden"),
    (ConflictError, "conflict"),
    (RateLimitedError, "rate-limited"),
    (ApiError, "platform"),
    (NetworkError, "network"),
    (PlatformError, "platform"),
    (EndpointError, "endpoint"),
)


def cause_of(error: HarnessError) -> str:
    """The class of failure that a run's error belongs to; the engine's own errors know theirs."""
    if isinstance(error, EngineStartError):
        return error.cause
    return next((cause for kind, cause in CAUSES if isinstance(error, kind)), "harness")


@dataclass(frozen=True, slots=True)
class Failure:
    """``cause`` is a class: out-of-memory, bad-argument, model-missing, image, no-capacity, timeout or unknown.

    ``message`` is the engine's own line, ``rule`` the code of the lint rule that catches this before it is paid for.
    """

    cause: str
    message: str
    rule: str | None = None


# Looked for in this order: the engine prints its root cause before its wrapper lines.
PATTERNS: tuple[tuple[re.Pattern[str], str, str | None], ...] = (
    (re.compile(r"unrecognized arguments: .*"), "bad-argument", "unknown-flag"),
    (re.compile(r"invalid choice: .*"), "bad-argument", "value-not-allowed"),
    (re.compile(r"error: argument .*"), "bad-argument", "wrong-type"),
    (re.compile(r"ambiguous option: .*"), "bad-argument", "ambiguous-abbreviation"),
    (re.compile(r"To serve at least one request with .*"), "out-of-memory", "gpu-memory"),
    (re.compile(r"No available memory for the cache blocks.*"), "out-of-memory", "gpu-memory"),
    (re.compile(r"Failed to load model - not enough GPU memory.*"), "out-of-memory", "gpu-memory"),
    (re.compile(r"Free memory on device .* is less than desired.*"), "out-of-memory", None),
    (re.compile(r"(?:torch\.)?(?:cuda\.)?OutOfMemoryError.*|CUDA out of memory.*"), "out-of-memory", "gpu-memory"),
    (re.compile(r"User-specified max_model_len .*"), "bad-argument", "sequence-length"),
    (re.compile(r"max_num_batched_tokens \(\d+\) .*"), "bad-argument", "batched-tokens"),
    (re.compile(r"Total number of attention heads .*"), "bad-argument", "heads-not-divisible"),
    (re.compile(r"Tensor parallel size .*|World size .*"), "bad-argument", "too-few-gpus"),
    (re.compile(r"Bfloat16 is only supported .*"), "bad-argument", "dtype-not-supported"),
    (re.compile(r"Unknown quantization method.*"), "bad-argument", "unknown-quantization"),
    (re.compile(r".*is not supported for quantization.*"), "bad-argument", "quantization-dtype"),
    (re.compile(r"(?:OSError|HFValidationError|RepositoryNotFoundError|GatedRepoError).*"), "model-missing", None),
    (re.compile(r"Invalid repository ID or local directory.*"), "model-missing", None),
    (re.compile(r".*(?:took too long|timed out).*", re.IGNORECASE), "timeout", None),
    (re.compile(r"ImagePullBackOff.*|ErrImagePull.*|manifest unknown.*"), "image", None),
    (re.compile(r"(?:not enough|insufficient) (?:GPU|nvidia\.com/gpu).*", re.IGNORECASE), "no-capacity", None),
    (re.compile(r"(?:ValueError|KeyError|TypeError|AssertionError|ModuleNotFoundError|NotImplementedError): .*"),
     "bad-argument", None),
)  # fmt: skip


def classify_log(lines: Sequence[str]) -> Failure:
    """The first cause in the order of the table that any line shows; ``unknown`` with the last line otherwise."""
    for pattern, cause, rule in PATTERNS:
        for line in lines:
            found = pattern.search(line)
            if found is not None:
                return Failure(cause, found[0].strip(), rule)
    said = [line for line in lines if line.strip()]
    return Failure("unknown", said[-1].strip() if said else "it said nothing")
