"""Records as columns: what goes over a pipe, into a file and into the arithmetic. Pure.

Absent numbers are NaN in float columns and ``ABSENT`` in integer ones.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

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
ROWS_AT_A_TIME = 4096
SIZES = struct.Struct("@qqq")  # rows, chunks, bytes of text


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
    """The records' fields as arrays; those behind ``Records`` as they are."""
    if isinstance(records, Records):
        return records.columns
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


def records_of(columns: Columns, rows: slice = slice(None)) -> list[RequestRecord]:
    """The records again, or some of them; their chunk arrays are views into the columns."""
    floats = {name: values[rows].tolist() for name, values in columns.floats.items()}
    integers = {name: values[rows].tolist() for name, values in columns.integers.items()}
    flags = {name: values[rows].tolist() for name, values in columns.flags.items()}
    records = []
    for i, row in enumerate(range(*rows.indices(len(columns)))):
        # NaN is the one float that differs from itself.
        known = {name: values[i] for name, values in floats.items() if values[i] == values[i]}
        known |= {name: values[i] for name, values in integers.items() if values[i] != ABSENT}
        known |= {name: values[i] for name, values in flags.items()}
        chunks = slice(columns.offsets[row], columns.offsets[row + 1])
        records.append(
            RequestRecord(
                **known,
                outcome=Outcome(str(columns.outcomes[row])),
                detail=columns.details[row],
                finish_reason=columns.finish_reasons[row],
                chunk_times_s=columns.chunk_times_s[chunks],
                chunk_tokens=columns.chunk_tokens[chunks],
            )
        )
    return records


class Records(Sequence[RequestRecord]):
    """Columns to be read as records. Each is made when it is asked for: what is done to it reaches no column."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns)

    @overload
    def __getitem__(self, index: int) -> RequestRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[RequestRecord]: ...
    def __getitem__(self, index: int | slice) -> RequestRecord | list[RequestRecord]:
        if isinstance(index, slice):
            return records_of(self.columns, index)
        row = range(len(self))[index]
        return records_of(self.columns, slice(row, row + 1))[0]

    def __iter__(self) -> Iterator[RequestRecord]:
        for start in range(0, len(self), ROWS_AT_A_TIME):
            yield from records_of(self.columns, slice(start, start + ROWS_AT_A_TIME))


def in_order_of_schedule(parts: Sequence[Columns]) -> Columns:
    """The rows of all parts by ``scheduled_s``; of one instant by their numbers, warm-up first.

    So the order does not depend on when each was read. Chunks are moved some thousand rows at a time: 10 million of
    them need no index as large as themselves.
    """
    numbers, measured, times_s = (
        np.concatenate(values)
        for values in (
            [part.integers["index"] for part in parts],
            [~part.flags["warmup"] for part in parts],
            [part.floats["scheduled_s"] for part in parts],
        )
    )
    order = np.lexsort((numbers, measured, times_s))
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths[order])])
    begins = np.empty(len(order), np.int64)
    begins[order] = offsets[:-1]
    times, tokens = np.empty(offsets[-1]), np.empty(offsets[-1], np.int32)
    above = 0
    for part in parts:
        for start in range(0, len(part), ROWS_AT_A_TIME):
            rows = slice(start, min(start + ROWS_AT_A_TIME, len(part)))
            own = part.offsets[start : rows.stop + 1]
            shifts = begins[above + start : above + rows.stop] - own[:-1]
            places = np.repeat(shifts, np.diff(own)) + np.arange(own[0], own[-1])
            times[places] = part.chunk_times_s[own[0] : own[-1]]
            tokens[places] = part.chunk_tokens[own[0] : own[-1]]
        above += len(part)
    details = [detail for part in parts for detail in part.details]
    reasons = [reason for part in parts for reason in part.finish_reasons]
    rows_in_order = order.tolist()
    return Columns(
        floats={name: np.concatenate([part.floats[name] for part in parts])[order] for name in FLOATS},
        integers={name: np.concatenate([part.integers[name] for part in parts])[order] for name in INTEGERS},
        flags={name: np.concatenate([part.flags[name] for part in parts])[order] for name in FLAGS},
        outcomes=np.concatenate([part.outcomes for part in parts])[order],
        details=[details[row] for row in rows_in_order],
        finish_reasons=[reasons[row] for row in rows_in_order],
        offsets=offsets,
        chunk_times_s=times,
        chunk_tokens=tokens,
    )


def pack(columns: Columns) -> list[bytes | memoryview]:
    """The columns as pieces to be written one after another, the arrays without a copy; nothing is pickled."""
    texts = json.dumps(
        [columns.outcomes.tolist(), list(columns.details), list(columns.finish_reasons)]
    ).encode()
    sizes = SIZES.pack(len(columns), len(columns.chunk_times_s), len(texts))
    return [sizes, *(np.ascontiguousarray(values).view(np.uint8).data for values in _arrays(columns)), texts]


def _arrays(columns: Columns) -> list[npt.NDArray[Any]]:
    """Those with eight bytes a value first, so that all lie where the processor likes them."""
    return [
        *(columns.floats[name].astype(np.float64, copy=False) for name in FLOATS),
        *(columns.integers[name].astype(np.int64, copy=False) for name in INTEGERS),
        columns.offsets.astype(np.int64, copy=False),
        columns.chunk_times_s.astype(np.float64, copy=False),
        columns.chunk_tokens.astype(np.int32, copy=False),
        *(columns.flags[name] for name in FLAGS),
    ]


def unpack(data: bytes | bytearray | memoryview) -> Columns:
    """The columns that ``pack`` wrote; the arrays are views into ``data``."""
    rows, chunks, text_bytes = SIZES.unpack_from(data)
    place = SIZES.size

    def take(kind: type[Any], count: int) -> npt.NDArray[Any]:
        nonlocal place
        values = np.frombuffer(data, kind, count, place)
        place += values.nbytes
        return values

    floats = {name: take(np.float64, rows) for name in FLOATS}
    integers = {name: take(np.int64, rows) for name in INTEGERS}
    offsets, times, tokens = take(np.int64, rows + 1), take(np.float64, chunks), take(np.int32, chunks)
    flags = {name: take(np.bool_, rows) for name in FLAGS}
    outcomes, details, reasons = json.loads(bytes(data[place : place + text_bytes]))
    return Columns(
        floats=floats,
        integers=integers,
        flags=flags,
        outcomes=np.array(outcomes, dtype=np.str_),
        details=details,
        finish_reasons=reasons,
        offsets=offsets,
        chunk_times_s=times,
        chunk_tokens=tokens,
    )
