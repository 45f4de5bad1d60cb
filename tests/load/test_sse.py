"""Streams as vLLM and proxies cut them; expected instants and counts are written by hand."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.response import NS_PER_S, TAIL_PIECES, Reading, Response
from harness.load.sse import parse_stream, split_events

# The shapes real vLLM 0.15.1 sent for a chat request with return_token_ids, shortened to what matters.
RECORDED = [
    (0.014, b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null},'
            b'"logprobs":null,"finish_reason":null}],"prompt_token_ids":[4,345,75,433,435,410,6,5]}\n\n'),
    (0.0156, b'data: {"choices":[{"index":0,"delta":{"content":" stashikaara","reasoning_content":null},'
             b'"finish_reason":null,"token_ids":[2962]}]}\n\n'),
    (0.0200, b'data: {"choices":[{"index":0,"delta":{"content":"","reasoning_content":null},'
             b'"finish_reason":null,"token_ids":[77]}]}\n\n'),
    (0.0260, b'data: {"choices":[{"index":0,"delta":{"content":" \xc3\xa9t\xc3\xa9","reasoning_content":null},'
             b'"finish_reason":"length","stop_reason":null,"token_ids":[78,79]}]}\n\n'),
    (0.0261, b'data: {"choices":[],"usage":{"prompt_tokens":8,"total_tokens":12,"completion_tokens":4}}\n\n'
             b"data: [DONE]\n\n"),
]  # fmt: skip


def chunk(content: str = "a", **more: Any) -> bytes:
    finish = more.pop("finish", None)
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish, **more.pop("choice", {})}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


def test_a_recorded_stream_gives_its_instants_and_counts() -> None:
    parsed = parse_stream(RECORDED)
    assert parsed.role_s == 0.014
    assert parsed.first_token_s == 0.0156
    assert parsed.last_token_s == 0.0260
    assert parsed.done_s == 0.0261
    assert parsed.chunk_times_s.tolist() == [0.0156, 0.0200, 0.0260]
    assert parsed.chunk_tokens.tolist() == [1, 1, 2]
    assert not parsed.tokens_assumed
    assert (parsed.prompt_tokens, parsed.completion_tokens, parsed.finish_reason) == (8, 4, "length")
    assert (parsed.error, parsed.malformed) == (None, None)


@given(cuts=st.sets(st.integers(1, sum(len(data) for _, data in RECORDED) - 1), max_size=40))
def test_any_cutting_of_a_stream_gives_the_same_events(cuts: set[int]) -> None:
    whole = b"".join(data for _, data in RECORDED)
    edges = [0, *sorted(cuts), len(whole)]
    reads = [(float(i), whole[a:b]) for i, (a, b) in enumerate(itertools.pairwise(edges))]
    events, rest = split_events(reads)
    assert [event.data for event in events] == [
        b"".join(part) for part in ([block.removeprefix(b"data: ")] for block in whole.split(b"\n\n")[:-1])
    ]
    assert rest == b""
    # An event's time is that of the read with its last byte.
    end = 0
    for event, block in zip(events, whole.split(b"\n\n")[:-1], strict=True):
        end += len(block) + 2
        assert event.time_s == next(i for i, edge in enumerate(edges[1:]) if edge >= end)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_line_ends_of_every_kind_and_lines_that_are_no_data(newline: bytes) -> None:
    lines = [
        b": a comment",
        b"event: message",
        b"id: 7",
        b'data: {"a":',
        b"data:1}",
        b"",
        b": ping",
        b"",
        b"data: x",
        b"",
        b"",
    ]
    stream = newline.join(lines)
    for cut in range(1, len(stream)):
        events, _ = split_events([(0.0, stream[:cut]), (1.0, stream[cut:])])
        assert [event.data for event in events] == [b'{"a":\n1}', b"x"]


def test_running_usage_counts_tokens_where_there_are_no_ids() -> None:
    def running(count: int) -> dict[str, Any]:
        return {"usage": {"prompt_tokens": 3, "completion_tokens": count}}

    reads = [
        (1.0, chunk("", **running(0))),
        (2.0, chunk("ab", **running(2))),
        (3.0, chunk("", **running(3))),
        (4.0, chunk("c", **running(3))),
        (5.0, chunk("", finish="stop", **running(5))),
    ]
    parsed = parse_stream(reads)
    assert parsed.role_s == 1.0
    # The chunk at 3 s has a token and no text, that at 4 s text and no new token; both bear tokens.
    assert parsed.chunk_times_s.tolist() == [2.0, 3.0, 4.0, 5.0]
    assert parsed.chunk_tokens.tolist() == [2, 1, 0, 2]
    assert not parsed.tokens_assumed


def test_without_counts_a_chunk_with_text_is_one_assumed_token() -> None:
    parsed = parse_stream([(1.0, chunk("")), (2.0, chunk("abc")), (3.0, chunk("", finish="stop"))])
    assert parsed.chunk_times_s.tolist() == [2.0]
    assert parsed.chunk_tokens.tolist() == [1]
    assert parsed.tokens_assumed
    assert parsed.completion_tokens is None


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
    ],
)
def test_reasoning_and_tool_calls_are_tokens(delta: dict[str, Any]) -> None:
    parsed = parse_stream([(1.0, chunk("")), (2.0, chunk("", choice={"delta": delta})), (3.0, chunk("x"))])
    assert parsed.first_token_s == 2.0


def test_completions_chunks_have_no_role_and_carry_text() -> None:
    body = b'data: {"choices":[{"index":0,"text":"X","finish_reason":"length","token_ids":null}],"usage":null}\n\n'
    parsed = parse_stream([(1.0, body)])
    assert parsed.role_s is None
    assert parsed.first_token_s == 1.0


def test_events_that_share_a_read_are_counted_as_coalesced() -> None:
    parsed = parse_stream(
        [(1.0, chunk("a") + chunk("b")), (2.0, chunk("c")), (3.0, chunk("d") + chunk("e") + chunk("f"))]
    )
    assert (parsed.token_reads, parsed.coalesced_reads) == (3, 2)


def test_cached_tokens_are_read_from_usage() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 0}}
    parsed = parse_stream([(1.0, b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")])
    assert parsed.cached_tokens == 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("Unauthorized", "Unauthorized"),
        ({"message": "boom", "code": 500}, "boom"),
        ({"type": "Dead"}, "Dead"),
    ],
)
def test_every_shape_of_error_event_is_read(error: object, words: str) -> None:
    parsed = parse_stream(
        [(1.0, chunk("a")), (2.0, b"data: " + json.dumps({"error": error}).encode() + b"\n\n")]
    )
    assert parsed.error == words


def test_a_final_done_without_its_blank_line_counts() -> None:
    assert parse_stream([(1.0, chunk("a")), (2.0, b"data: [DONE]\n")]).done_s is not None


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: []\n\n", b"data: 7\n\n", b"data: \xff\n\n"])
def test_an_event_that_is_no_json_object_is_malformed(data: bytes) -> None:
    assert parse_stream([(1.0, data)]).malformed is not None


@given(st.binary(max_size=300))
def test_no_bytes_make_the_parser_raise(data: bytes) -> None:
    parse_stream([(0.0, data), (1.0, b"data: " + data + b"\n\n")])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "delta",
                        "usage",
                        "content",
                        "token_ids",
                        "tool_calls",
                        "function",
                        "index",
                        "completion_tokens",
                        "prompt_tokens_details",
                        "message",
                        "text",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_no_json_makes_the_parser_raise(message: object) -> None:
    parse_stream([(0.0, b"data: " + json.dumps({"choices": [message], "usage": message}).encode() + b"\n\n")])


def test_one_event_over_very_many_reads_is_put_together_once() -> None:
    # 40,000 reads of 1 kB: joining at every read would copy 800 GB.
    reads = [(float(i), b"x" * 1000) for i in range(40_000)]
    events, rest = split_events([(0.0, b"data: "), *reads, (-1.0, b"\n"), (-2.0, b"\n"), (-3.0, b"data: y")])
    assert [(event.time_s, len(event.data)) for event in events] == [(-2.0, 40_000_000)]
    assert rest == b"data: y"


@pytest.mark.parametrize(
    "usage", [{"completion_tokens": 10**400}, {"prompt_tokens": -1}, {"completion_tokens": True}]
)
def test_counts_that_cannot_be_are_no_counts(usage: dict[str, Any]) -> None:
    parsed = parse_stream([(1.0, b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")])
    assert (parsed.prompt_tokens, parsed.completion_tokens) == (None, None)


@given(
    cuts=st.sets(st.integers(1, 9000), max_size=6),
    patience=st.lists(st.integers(0, 3), min_size=8, max_size=8),
)
def test_a_stream_read_while_it_comes_says_the_same(cuts: set[int], patience: list[int]) -> None:
    # 150 events: several steps of reading a read that has many of them.
    whole = b"".join(chunk(f"w{i} ", choice={"token_ids": [i]}) for i in range(149))
    whole += chunk("end", finish="stop", choice={"token_ids": [1, 2]}) + b"data: [DONE]\n\n"
    edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    reads = [(i * NS_PER_S, whole[a:b]) for i, (a, b) in enumerate(itertools.pairwise(edges))]
    response = Response(status=200, headers={"content-type": "text/event-stream"})
    answer: list[str] = []
    reading = Reading(response, origin_ns=0, answer=answer)
    for read, steps in zip(reads, patience, strict=False):
        response.came(len(read[1]))
        response.add(*read)
        # Somebody reads for some steps and is then not heard of again.
        list(itertools.islice(reading.catch_up(), steps))
    assert reading.is_stream
    for _ in reading.finish():
        pass
    expected = parse_stream([(instant / NS_PER_S, data) for instant, data in reads])
    assert reading.parsed.chunk_times_s.tolist() == expected.chunk_times_s.tolist()
    assert reading.parsed.chunk_tokens.tolist() == expected.chunk_tokens.tolist() == [1] * 149 + [2]
    assert (reading.parsed.done_s, reading.parsed.finish_reason) == (float(len(reads) - 1), "stop")
    assert "".join(answer) == "".join(f"w{i} " for i in range(149)) + "end"


def test_what_was_read_of_a_stream_is_let_go() -> None:
    pieces = [chunk("a", choice={"token_ids": [i]}) for i in range(1000)]
    calls: list[int] = []
    response = Response(status=200, headers={"content-type": "text/event-stream"})
    response.on_many = lambda: calls.append(len(response.body))
    reading = Reading(response, origin_ns=0)
    for number, piece in enumerate(pieces, 1):
        response.came(len(piece) + 10)  # with its framing
        response.add(number * NS_PER_S, piece)
        if number in (300, 600):
            assert reading.claim() == sum(map(len, pieces[number - 300 : number]))
            for _ in reading.catch_up():
                pass
            assert len(response.body) == TAIL_PIECES
            assert (
                response.room.held
                == response.held_bytes
                == number * 10 + sum(map(len, pieces[number - 3 : number]))
            )
    # Asked for reading when 256 waited, each time.
    assert calls == [256, 256, 256]
    for _ in reading.finish():
        pass
    assert reading.parsed.chunk_times_s.tolist() == list(range(1, 1001))
    assert response.body_bytes == sum(map(len, pieces))
    response.leave_room()
    assert response.room.held == 0


def test_json_nested_beyond_reason_is_malformed() -> None:
    assert parse_stream([(1.0, b"data: " + b"[" * 200_000 + b"\n\n")]).malformed is not None
