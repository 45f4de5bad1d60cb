"""Records kept as columns: nothing is lost on the way in, over a pipe, or when parts are put together."""

from __future__ import annotations

import numpy as np
import pytest

from harness.load.columns import (
    ROWS_AT_A_TIME,
    Columns,
    Records,
    columns_of,
    in_order_of_schedule,
    pack,
    unpack,
)
from harness.load.log import RecordLog
from harness.load.merge import cut_at
from harness.load.records import Outcome, RequestRecord


def record(index: int, scheduled_s: float, chunks: int, **more: object) -> RequestRecord:
    times = scheduled_s + 0.1 * np.arange(1, chunks + 1)
    return RequestRecord(
        index=index,
        scheduled_s=scheduled_s,
        ended_s=scheduled_s + 0.1 * (chunks + 1),
        chunk_times_s=times,
        chunk_tokens=np.full(chunks, index, np.int32),
        **more,  # type: ignore[arg-type]
    )


def same(left: RequestRecord, right: RequestRecord) -> bool:
    return all(
        np.array_equal(getattr(left, name), getattr(right, name))
        for name in RequestRecord.__dataclass_fields__
    )


SOME = [
    record(0, 3.0, 2, outcome=Outcome.SUCCEEDED, finish_reason="length", completion_tokens=2, warmup=True),
    record(1, 1.0, 0, outcome=Outcome.TIMEOUT, detail="späť", status=None),
    record(2, 2.0, 3, outcome=Outcome.SUCCEEDED, tokens_assumed=False, sent_s=2.001),
]


def log_of(*records: RequestRecord) -> Columns:
    log = RecordLog()
    for each in records:
        log.add(each)
    return log.columns()


@pytest.mark.parametrize("records", [SOME, []], ids=["some", "none"])
def test_a_log_gives_back_every_field_of_what_it_took(records: list[RequestRecord]) -> None:
    back = list(Records(unpack(b"".join(pack(log_of(*records))))))
    assert len(back) == len(records)
    assert all(same(before, after) for before, after in zip(records, back, strict=True))


def test_parts_are_put_in_the_order_of_their_schedules_with_their_own_chunks() -> None:
    # Scheduled every second, dealt out to three parts in turn, as shards do; request i has i % 4 chunks.
    count = 2 * ROWS_AT_A_TIME + 5
    parts = [
        log_of(*(record(i, float(i), i % 4) for i in reversed(range(number, count, 3))))
        for number in range(3)
    ]
    assert [len(part) > 1000 for part in parts] == [True] * 3
    merged = in_order_of_schedule(parts)
    assert merged.integers["index"].tolist() == list(range(count))
    assert np.diff(merged.offsets).tolist() == [i % 4 for i in range(count)]
    assert merged.chunk_tokens.tolist() == [i for i in range(count) for _ in range(i % 4)]
    expected = [i + 0.1 * (chunk + 1) for i in range(count) for chunk in range(i % 4)]
    assert merged.chunk_times_s.tolist() == pytest.approx(expected)


def test_rows_of_one_instant_are_in_the_order_of_their_numbers() -> None:
    first = log_of(record(7, 1.0, 3), record(6, 0.0, 2))
    merged = in_order_of_schedule([first, log_of(record(9, 1.0, 1, warmup=True), record(5, 1.0, 1))])
    assert merged.integers["index"].tolist() == [6, 9, 5, 7]
    assert merged.chunk_tokens.tolist() == [6, 6, 9, 5, 7, 7, 7]


def test_columns_are_read_as_records_by_index_slice_and_turn() -> None:
    records = Records(columns_of(SOME))
    assert len(records) == 3
    assert same(records[-1], SOME[2])
    assert [each.index for each in records[1:]] == [1, 2]
    assert [each.index for each in records] == [0, 1, 2]
    assert columns_of(records) is records.columns
    with pytest.raises(IndexError):
        records[3]


def test_what_ends_after_the_window_is_unfinished_and_says_what_became_of_it() -> None:
    # Ends: 3.3, 1.1, 2.4.
    closed = cut_at(log_of(*SOME), 1.05)
    assert closed.outcomes.tolist() == ["unfinished"] * 3
    assert closed.details == ["succeeded in the drain", "späť", "succeeded in the drain"]
    assert cut_at(log_of(*SOME), 2.5).outcomes.tolist() == ["unfinished", "timeout", "succeeded"]
