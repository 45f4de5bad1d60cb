"""Records as columns: what goes over a pipe, into a file and into the arithmetic. Pure.

Absent numbers are NaN in float columns and ``ABSENT`` in integer ones.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.load.records import Outcome, RequestRecord

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ABSENT = -1
FLOATS = (
    "scheduled_s", "sent_s", "connected_s", "headers_s", "role_s", "first_token_s", "last_token_s", "done_s",
    "ended_s", "connect_time_s", "tls_time_s",
)  # fmt: skip
INTEGERS = (
    "index", "prompt_tokens", "completion_tokens", "cached_tokens", "input_tokens_asked", "output_tokens_asked",
    "status", "kernel_reads", "user_reads", "coalesced_reads", "token_reads", "retries", "conversation", "turn",
)  # fmt: skip
# Files written before these were recorded have no such columns.
LATER_INTEGERS = ("conversation", "turn")
FLAGS = ("warmup", "tokens_assumed")
TEXTS = ("outcome", "detail", "finish_reason")


@dataclass(frozen=True, slots=True)
class Columns:
    """All records of a stage, one array per field.

    Request ``i`` has the chunks ``offsets[i]`` to ``offsets[i + 1]`` of ``chunk_times_s`` and ``chunk_tokens``.
    """

    floats: Mapping[str, Floats]
    integers: Mapping[str, Integers]
    flags: Mapping[str, npt.NDArray[np.bool_]]
    outcomes: npt.NDArray[np.str_]
    details: Sequence[str]
    finish_reasons: Sequence[str | None]
    offsets: Integers
    chunk_times_s: Floats
    chunk_tokens: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.offsets) - 1


def columns_of(records: Sequence[RequestRecord]) -> Columns:
    """The records' fields as arrays."""
    count = len(records)

    def floats(name: str) -> Floats:
        values = (getattr(record, name) for record in records)
        return np.fromiter((np.nan if value is None else value for value in values), np.float64, count)

    def integers(name: str) -> Integers:
        values = (getattr(record, name) for record in records)
        return np.fromiter((ABSENT if value is None else value for value in values), np.int64, count)

    lengths = np.fromiter((len(record.chunk_times_s) for record in records), np.int64, count)
    return Columns(
        floats={name: floats(name) for name in FLOATS},
        integers={name: integers(name) for name in INTEGERS},
        flags={name: np.fromiter((getattr(r, name) for r in records), np.bool_, count) for name in FLAGS},
        outcomes=np.array([str(record.outcome) for record in records], dtype=np.str_),
        details=[record.detail for record in records],
        finish_reasons=[record.finish_reason for record in records],
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        chunk_times_s=_joined([record.chunk_times_s for record in records], np.float64),
        chunk_tokens=_joined([record.chunk_tokens for record in records], np.int32),
    )


def _joined(parts: list[npt.NDArray[Any]], kind: type[Any]) -> npt.NDArray[Any]:
    return np.concatenate(parts).astype(kind, copy=False) if parts else np.empty(0, kind)


def records_of(columns: Columns) -> list[RequestRecord]:
    """The records again; their chunk arrays are views into the columns."""
    floats = {name: values.tolist() for name, values in columns.floats.items()}
    integers = {name: values.tolist() for name, values in columns.integers.items()}
    flags = {name: values.tolist() for name, values in columns.flags.items()}
    offsets = columns.offsets.tolist()
    records = []
    for i in range(len(columns)):
        # NaN is the one float that differs from itself.
        known = {name: values[i] for name, values in floats.items() if values[i] == values[i]}
        known |= {name: values[i] for name, values in integers.items() if values[i] != ABSENT}
        known |= {name: values[i] for name, values in flags.items()}
        records.append(
            RequestRecord(
                **known,
                outcome=Outcome(str(columns.outcomes[i])),
                detail=columns.details[i],
                finish_reason=columns.finish_reasons[i],
                chunk_times_s=columns.chunk_times_s[offsets[i] : offsets[i + 1]],
                chunk_tokens=columns.chunk_tokens[offsets[i] : offsets[i + 1]],
            )
        )
    return records


def pack(columns: Columns) -> bytes:
    """The columns as one NPZ archive; nothing in it is pickled."""
    arrays: dict[str, npt.NDArray[Any]] = {**columns.floats, **columns.integers, **columns.flags}
    texts = {
        "outcome": columns.outcomes.tolist(),
        "detail": list(columns.details),
        "finish_reason": list(columns.finish_reasons),
    }
    arrays["texts"] = np.frombuffer(json.dumps(texts).encode(), np.uint8)
    arrays["offsets"] = columns.offsets
    arrays["chunk_times_s"] = columns.chunk_times_s
    arrays["chunk_tokens"] = columns.chunk_tokens
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its own flag
    return buffer.getvalue()


def unpack(data: bytes) -> Columns:
    """The columns ``pack`` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        texts = json.loads(archive["texts"].tobytes())
        return Columns(
            floats={name: archive[name] for name in FLOATS},
            integers={name: archive[name] for name in INTEGERS},
            flags={name: archive[name] for name in FLAGS},
            outcomes=np.array(texts["outcome"], dtype=np.str_),
            details=texts["detail"],
            finish_reasons=texts["finish_reason"],
            offsets=archive["offsets"],
            chunk_times_s=archive["chunk_times_s"],
            chunk_tokens=archive["chunk_tokens"],
        )
