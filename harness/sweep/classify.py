"""Why a run failed: the class of an error, and of what a deployment's log says. Pure."""

from __future__ import annotations

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
from harness.sweep.failures import (
    BAD_ARGUMENT,
    CHATTER,
    GONE,
    MODEL_MISSING,
    NO_CAPACITY,
    PATTERNS,
    PREFIX,
    SOURCE,
    STYLE,
    UNKNOWN,
)

# The cause in the report for an error of the platform or of the endpoint, most particular class first.
CAUSES: tuple[tuple[type[HarnessError], str], ...] = (
    (CapacityError, NO_CAPACITY),
    (InvalidError, "refused-request"),
    (NotFoundError, GONE),
    (ForbiddenError, "forbidden"),
    (ConflictError, "conflict"),
    (RateLimitedError, "rate-limited"),
    (ApiError, "platform"),
    (NetworkError, "network"),
    (PlatformError, "platform"),
    (EndpointError, "endpoint"),
)
NOT_ALLOWED = "is not allowed for vLLM"


@dataclass(frozen=True, slots=True)
class Failure:
    """``cause`` is a class: out-of-memory, bad-argument, model-missing, image, no-capacity, timeout or unknown.

    ``message`` is the engine's own line, ``rule`` the code of the lint rule that catches this before it is paid for.
    """

    cause: str
    message: str
    rule: str | None = None


def classify_error(error: HarnessError) -> Failure:
    """The class of failure that a run's error belongs to; the engine's own errors know theirs."""
    if isinstance(error, EngineStartError):
        return Failure(error.cause, str(error), error.rule)
    if isinstance(error, NotFoundError) and error.operation == "create-deployment":
        return Failure(MODEL_MISSING, str(error))  # the one thing a create refers to
    if isinstance(error, InvalidError) and any(NOT_ALLOWED in each for each in error.errors):
        return Failure(BAD_ARGUMENT, str(error), "not-offered")
    cause = next((cause for kind, cause in CAUSES if isinstance(error, kind)), "harness")
    return Failure(cause, str(error))


def classify_log(lines: Sequence[str]) -> Failure:
    """The first cause in the order of the table that the log shows; ``unknown`` with the last line otherwise.

    Lines that only inform or warn are passed over: an engine warns of much that does not end it.
    """
    plain = (STYLE.sub("", line) for line in lines)
    bare = (PREFIX.sub("", line) for line in plain if not CHATTER.match(line))
    serious = "\n".join(line for line in bare if not SOURCE.match(line))
    for pattern, cause, rule in PATTERNS:
        found = pattern.search(serious)
        if found is not None:
            return Failure(cause, " ".join(found[0].split()), rule)
    said = [line for line in lines if line.strip()]
    return Failure(UNKNOWN, said[-1].strip() if said else "it said nothing")
