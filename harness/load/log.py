"""The records of a stage while it runs, as columns from the start: some 300 bytes a request and 12 a chunk. Pure."""

from __future__ import annotations

from array import array

import numpy as np

from harness.load.columns import ABSENT, FLAGS, FLOATS, INTEGERS, Columns
from harness.load.records import Outcome, RequestRecord

OUTCOMES = tuple(Outcome)
CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
NAN = float("nan")


class RecordLog:
    """Takes each record once it is whole."""

    def __init__(self) -> None:
        self._floats = {name: array("d") for name in FLOATS}
        self._integers = {name: array("q") for name in INTEGERS}
        self._flags = {name: array("b") for name in FLAGS}
        self._outcomes = array("b")
        self._details: list[str] = []
        self._finish_reasons: list[str | None] = []
        self._offsets = array("q", [0])
        self._chunk_times_s = array("d")
        self._chunk_tokens = array("i")

    def add(self, record: RequestRecord) -> None:
        """Keep a record; it is not referred to any more."""
        for name, floats in self._floats.items():
            value = getattr(record, name)
            floats.append(NAN if value is None else value)
        for name, integers in self._integers.items():
            value = getattr(record, name)
            integers.append(ABSENT if value is None else value)
        for name, flags in self._flags.items():
            flags.append(getattr(record, name))
        self._outcomes.append(CODES[record.outcome])
        self._details.append(record.detail)
        self._finish_reasons.append(record.finish_reason)
        self._chunk_times_s.frombytes(record.chunk_times_s.tobytes())
        self._chunk_tokens.frombytes(record.chunk_tokens.tobytes())
        self._offsets.append(len(self._chunk_times_s))

    def columns(self) -> Columns:
        """All of them, in the order they came; the arrays are the log's own, which takes no more."""
        names = np.array([str(outcome) for outcome in OUTCOMES])
        return Columns(
            floats={name: np.frombuffer(values, np.float64) for name, values in self._floats.items()},
            integers={name: np.frombuffer(values, np.int64) for name, values in self._integers.items()},
            flags={name: np.frombuffer(values, np.bool_) for name, values in self._flags.items()},
            outcomes=names[np.frombuffer(self._outcomes, np.int8)],
            details=self._details,
            finish_reasons=self._finish_reasons,
            offsets=np.frombuffer(self._offsets, np.int64),
            chunk_times_s=np.frombuffer(self._chunk_times_s, np.float64),
            chunk_tokens=np.frombuffer(self._chunk_tokens, np.int32),
        )
