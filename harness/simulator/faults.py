"""Faults to inject, read from a YAML or JSON file and drawn with a seed.

A file holds a list under ``faults``; each entry names a fault and narrows where and how often it happens::

    faults:
      - {fault: rate-limited, operation: get-operation, probability: 0.2, retry_after_s: 1}
      - {fault: deployment-error, subject: "*-wide-*", message: "CUDA out of memory"}
      - {fault: reset-after, operation: create-deployment, times: 1}
    quotas: {gpua5000: 4}

Each rule draws from a generator of its own, so that adding a rule does not move the others.
"""

from __future__ import annotations

import difflib
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, ValidationError

from harness.errors import ConfigError


class Fault(StrEnum):
    """Everything that can go wrong here, in three groups: the call, the life cycle, the endpoint's answers."""

    RATE_LIMITED = "rate-limited"
    SERVER_ERROR = "server-error"
    RESET_BEFORE = "reset-before"
    RESET_AFTER = "reset-after"
    ERROR_AFTER = "error-after"
    FORBIDDEN = "forbidden"
    SLOW_ANSWER = "slow-answer"
    CLOCK_SKEW = "clock-skew"
    BUSY = "busy"

    NO_CAPACITY = "no-capacity"
    NO_REFERENCE = "no-reference"
    UNLISTED = "unlisted"
    OPERATION_UNKNOWN = "operation-unknown"
    OPERATION_STUCK = "operation-stuck"
    OPERATION_FAILED = "operation-failed"
    DEPLOYMENT_ERROR = "deployment-error"
    DEPLOYMENT_STUCK = "deployment-stuck"
    SLOW_START = "slow-start"
    UNKNOWN_STATE = "unknown-state"
    KEY_LATE = "key-late"
    URL_UNAVAILABLE = "url-unavailable"
    PARAMETERS_DROPPED = "parameters-dropped"

    DEAD_REPLICA = "dead-replica"
    HTML = "html"
    EMPTY_STREAM = "empty-stream"
    DISCONNECT = "disconnect"
    TRUNCATED_JSON = "truncated-json"
    NO_DONE = "no-done"
    NO_USAGE = "no-usage"
    WRONG_USAGE = "wrong-usage"
    ERROR_EVENT = "error-event"
    STALL = "stall"
    DUPLICATE_CHUNKS = "duplicate-chunks"
    MERGED_CHUNKS = "merged-chunks"
    LATE_ROLE = "late-role"
    SLOW_REPLICA = "slow-replica"
    ENGINE_RESTART = "engine-restart"


BEFORE_CALL = (
    Fault.SLOW_ANSWER,
    Fault.RATE_LIMITED,
    Fault.SERVER_ERROR,
    Fault.RESET_BEFORE,
    Fault.FORBIDDEN,
    Fault.CLOCK_SKEW,
    Fault.BUSY,
)
AFTER_CALL = (Fault.RESET_AFTER, Fault.ERROR_AFTER)
ENDPOINT = tuple(list(Fault)[list(Fault).index(Fault.DEAD_REPLICA) :])


class Rule(BaseModel):
    """Where a fault happens and how often.

    ``operation`` (an operation's name; a state for deployment-stuck and unknown-state) and ``subject`` (a
    deployment's name or its GPU family) are glob patterns. The first ``skip`` matching occasions pass, then each
    ``every``-th is hit with ``probability``, at most ``times`` in all, within the zone seconds ``since`` to
    ``until`` of the server's start. What the other fields mean depends on the fault; ``seconds`` are the zone's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: Fault
    operation: str = "*"
    subject: str = "*"
    probability: float = Field(default=1.0, ge=0, le=1)
    skip: NonNegativeInt = 0
    times: NonNegativeInt | None = None
    since: NonNegativeFloat = 0.0
    until: NonNegativeFloat = math.inf
    seconds: NonNegativeFloat = 60.0
    factor: NonNegativeFloat = 10.0
    status: int = Field(default=503, ge=400, le=599)
    body: str | None = None
    message: str = "CUDA out of memory."
    retry_after_s: float | None = None
    state: str | None = None
    every: int = Field(default=1, ge=1)


class FaultFile(BaseModel):
    """A fault file: the rules, and what to change in the zone's quotas and stock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int | None = None
    faults: tuple[Rule, ...] = ()
    quotas: Mapping[str, NonNegativeInt] = Field(default_factory=dict)
    stock: Mapping[str, NonNegativeInt] = Field(default_factory=dict)


class FaultPlan:
    """The rules at work: counts their occasions, draws, and remembers what it injected (``injected``).

    ``clock`` gives the zone's seconds.
    """

    def __init__(
        self, rules: tuple[Rule, ...] = (), *, seed: int = 0, clock: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._draws = [random.Random(f"{seed}:{index}") for index in range(len(rules))]
        self._occasions = [0] * len(rules)
        self._hits = [0] * len(rules)
        self.injected: Counter[str] = Counter()

    def draw(self, *faults: Fault, operation: str = "", subjects: tuple[str, ...] = ()) -> Rule | None:
        """The first rule for one of ``faults`` that strikes on this occasion; None mostly."""
        for index, rule in enumerate(self._rules):
            if rule.fault in faults and _matches(rule, operation, subjects) and self._strikes(index):
                self.injected[rule.fault] += 1
                return rule
        return None

    def concerns(self, *faults: Fault) -> bool:
        """True when some rule is about one of ``faults``."""
        return any(rule.fault in faults for rule in self._rules)

    def _strikes(self, index: int) -> bool:
        rule = self._rules[index]
        if not rule.since <= self._clock() < rule.until:
            return False
        self._occasions[index] += 1
        turn = self._occasions[index] - rule.skip
        spent = rule.times is not None and self._hits[index] >= rule.times
        if turn <= 0 or turn % rule.every or spent:
            return False
        if self._draws[index].random() >= rule.probability:
            return False
        self._hits[index] += 1
        return True


def _matches(rule: Rule, operation: str, subjects: tuple[str, ...]) -> bool:
    if not fnmatchcase(operation, rule.operation):
        return False
    return rule.subject == "*" or any(fnmatchcase(subject, rule.subject) for subject in subjects)


def read_faults(path: Path) -> FaultFile:
    """The file's contents; ConfigError says which entry cannot be used and what would do."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the fault file '{path}': {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"the fault file '{path}' is neither YAML nor JSON") from error
    return parse_faults(document, path=str(path))


def parse_faults(document: Any, *, path: str) -> FaultFile:
    """A fault file from its parsed text; a bare list is its ``faults``."""
    if document is None:
        document = {}
    try:
        return FaultFile.model_validate({"faults": document} if isinstance(document, list) else document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        hint = ""
        if first["type"] == "enum":
            close = difflib.get_close_matches(str(first["input"]), list(Fault), n=1)
            hint = f"; did you mean {str(close[0])!r}?" if close else f"; one of: {', '.join(Fault)}"
            raise ConfigError(
                f"the fault file '{path}': {where}: no fault {first['input']!r}{hint}"
            ) from error
        raise ConfigError(f"the fault file '{path}': {where}: {first['msg'].lower()}") from error
