"""However the network cuts a response up, its record is the same; whatever a server writes, reading it ends."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.connection import Connection, ConnectionLost
from harness.load.records import Outcome, RequestRecord
from harness.load.response import Reading, Response, completing

EXAMPLES = settings(max_examples=150, deadline=None)
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\n\r\n"
# What depends on how reads fall, and may.
CUT_DEPENDENT = {"kernel_reads", "user_reads", "coalesced_reads", "token_reads"}


def record_of(pieces: Sequence[bytes]) -> tuple[dict[str, Any], bool]:
    """What a record says after a server wrote ``pieces``, each read by itself, and closed; and if it could go on."""

    async def run() -> tuple[Response, bool]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        connection, response = Connection(ours, loop=loop), Response()
        connection.start_reading()
        exchange = asyncio.ensure_future(connection.exchange(REQUEST, response))
        with theirs:
            for piece in pieces:
                # A reader that has closed takes no more; the rest would never have arrived.
                if not connection.closed:
                    theirs.sendall(piece)
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
            reusable = connection.reusable
        async with asyncio.timeout(5):
            try:
                await exchange
            except ConnectionLost as error:
                response.fail(Outcome.TRUNCATED, str(error))
        connection.close()
        return response, reusable

    response, reusable = asyncio.run(run())
    record = RequestRecord(index=0, scheduled_s=0.0)
    for _ in completing(record, Reading(response, origin_ns=0), streamed=True):
        pass
    said = {name: getattr(record, name) for name in RequestRecord.__dataclass_fields__}
    seen = {
        name: value is not None if name.endswith("_s") and not isinstance(value, np.ndarray) else value
        for name, value in said.items()
        if name not in CUT_DEPENDENT
    }
    seen["chunk_times_s"], seen["chunk_tokens"] = len(record.chunk_times_s), record.chunk_tokens.tolist()
    return seen, reusable


def cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(each % (len(data) + 1) for each in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """The body of a stream: role, tokens, a usage chunk and [DONE], in any line endings, with comments between."""
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    blocks: list[bytes] = []
    for i in range(draw(st.integers(0, 6))):
        delta = draw(st.sampled_from([{"content": "é"}, {"content": ""}, {"reasoning": "x"}, {"role": "a"}]))
        ids = draw(st.sampled_from([None, [i], [i, i + 1]]))
        choice = {"index": 0, "delta": delta, "finish_reason": None, "token_ids": ids}
        blocks.append(b"data: " + json.dumps({"choices": [choice]}, ensure_ascii=False).encode())
        blocks += [b": still here"] * draw(st.booleans())
    last = {"choices": [{"index": 0, "delta": {"content": "z"}, "finish_reason": "stop"}]}
    blocks += [b"event: x" + end + b"data:" + json.dumps(last).encode()] * draw(st.booleans())
    blocks += [b'data: {"choices":[],"usage":{"completion_tokens":7,"prompt_tokens":3}}'] * draw(
        st.booleans()
    )
    blocks += [b"data: {broken"] * draw(st.booleans())
    blocks += [b"data: [DONE]"] * draw(st.booleans())
    return b"".join(block + end * 2 for block in blocks)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A whole HTTP answer in one of its framings, interim answers before it, or more than was asked for after it."""
    body = draw(events())
    head = draw(
        st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\nlink: x\r\n\r\n"])
    )
    status = draw(st.sampled_from([b"200 OK", b"503 Service Unavailable"]))
    head += b"HTTP/1.1 " + status + b"\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    framing = draw(st.sampled_from(["chunked", "length", "close"]))
    if framing == "length":
        return head + b"content-length: %d\r\n\r\n" % len(body) + body + draw(extras())
    if framing == "close":
        return head + b"\r\n" + body
    framed = b""
    for piece in cut(body, draw(st.lists(st.integers(0, 10_000), max_size=4))):
        framed += (
            b"%x" % len(piece) + draw(st.sampled_from([b"", b";a=b", b';q="x"'])) + b"\r\n" + piece + b"\r\n"
        )
    trailer = draw(st.sampled_from([b"", b"x-sum: 1\r\ncontent-type: text/html\r\n"]))
    return (
        head + b"transfer-encoding: chunked\r\n\r\n" + framed + b"0\r\n" + trailer + b"\r\n" + draw(extras())
    )


def extras() -> st.SearchStrategy[bytes]:
    """What a confused server sends after a whole answer."""
    return st.sampled_from([b"", b"", b"garbage\r\n", b"HTTP/1.1 500 Oops\r\ncontent-length: 1\r\n\r\nx"])


CUTS = st.lists(st.integers(0, 100_000), max_size=12)


@EXAMPLES
@given(answer=answers(), cuts=CUTS)
def test_any_split_of_an_answer_gives_the_same_record(answer: bytes, cuts: list[int]) -> None:
    whole, split = record_of([answer]), record_of(cut(answer, cuts))
    assert split[0] == whole[0]


@EXAMPLES
@given(answer=answers(), at=st.integers(0, 100_000), byte=st.integers(0, 255), cuts=CUTS)
def test_a_damaged_answer_ends_in_the_same_class_however_it_is_split(
    answer: bytes, at: int, byte: int, cuts: list[int]
) -> None:
    at %= len(answer)
    damaged = answer[:at] + bytes([byte]) + answer[at + 1 :]
    whole, split = record_of([damaged]), record_of(cut(damaged, cuts))
    assert split[0]["outcome"] == whole[0]["outcome"]
    assert split[0]["status"] == whole[0]["status"]


@EXAMPLES
@given(answer=answers(), at=st.integers(0, 100_000))
def test_an_answer_cut_short_is_never_a_success_it_was_not(answer: bytes, at: int) -> None:
    said, _ = record_of([answer[: at % len(answer)]])
    whole, _ = record_of([answer])
    assert said["outcome"] is not Outcome.SUCCEEDED or whole["outcome"] is Outcome.SUCCEEDED


@EXAMPLES
@given(junk=st.binary(max_size=400), cuts=CUTS)
def test_whatever_comes_the_exchange_ends_in_a_failure(junk: bytes, cuts: list[int]) -> None:
    said, _ = record_of(cut(junk, cuts))
    assert said["outcome"].is_failure


def test_a_second_answer_to_one_request_changes_nothing_and_ends_the_connection() -> None:
    first = b"HTTP/1.1 429 Slow Down\r\ncontent-length: 2\r\n\r\n{}"
    second = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate"
    alone, alone_reusable = record_of([first])
    both, both_reusable = record_of([first + second])
    assert alone["outcome"] is Outcome.HTTP_429
    assert both == alone
    assert (alone_reusable, both_reusable) == (True, False)
