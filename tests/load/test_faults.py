"""Each fault of a server is one class of outcome, ends in time, and leaves no socket open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest

from harness.load.arrivals import ClosedLoop
from harness.load.metrics import summarise
from harness.load.records import Outcome
from harness.load.stage import Stage

Serve = Callable[..., Any]
ERROR_EVENT = {"error": {"message": "engine died", "type": "InternalServerError", "param": None, "code": 500}}

pytestmark = pytest.mark.usefixtures("no_leak")


@pytest.fixture
def outcome_of(serve: Serve, lab: ModuleType) -> Callable[..., tuple[Outcome, str]]:
    """Outcome and detail of one request to a server that answers with ``handler``."""

    def run(handler: Callable[[Any, Any], Awaitable[None]], **options: Any) -> tuple[Outcome, str]:
        server = serve(handler)
        record = lab.load_once(server.url, **options)
        assert server.closed_within(2)
        server.close()
        return record.outcome, record.detail

    return run


def test_a_refused_connection_is_a_connect_failure(lab: ModuleType) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connecting is refused
        record = lab.load_once(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
    assert record.outcome is Outcome.CONNECT
    assert "refused" in record.detail
    assert record.sent_s is None


def test_a_reset_before_the_headers_is_truncated(outcome_of: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        reply.reset()

    assert outcome_of(handle)[0] is Outcome.TRUNCATED


def test_a_reset_after_the_headers_is_truncated(outcome_of: Any, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        await asyncio.sleep(0.05)
        reply.reset()

    outcome, detail = outcome_of(handle)
    assert outcome is Outcome.TRUNCATED
    assert "within the response" in detail


def test_a_silent_server_is_a_timeout(outcome_of: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.reader.read()

    began = time.monotonic()
    assert outcome_of(handle, timeout_s=0.2)[0] is Outcome.TIMEOUT
    assert time.monotonic() - began < 5


def test_a_trickling_body_is_a_timeout_that_keeps_its_tokens(serve: Serve, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        while True:
            await reply.event(lab.text("a", ids=[1]))
            await asyncio.sleep(0.05)

    server = serve(handle)
    record = lab.load_once(server.url, timeout_s=0.3)
    assert record.outcome is Outcome.TIMEOUT
    assert 2 <= len(record.chunk_times_s) <= 7
    assert server.closed_within(2)
    server.close()


def test_a_truncated_chunk_is_truncated(outcome_of: Any, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD + b"ff\r\ndata: {")
        reply.close()

    assert outcome_of(handle)[0] is Outcome.TRUNCATED


def test_a_chunk_of_no_valid_length_is_malformed(outcome_of: Any, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD + b"zz\r\ndata: {}\r\n")
        await reply.reader.read()

    outcome, detail = outcome_of(handle)
    assert outcome is Outcome.MALFORMED
    assert "not valid HTTP" in detail


def test_something_that_is_not_http_is_malformed(outcome_of: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(b"220 mail.example ESMTP\r\n")
        await reply.reader.read()

    assert outcome_of(handle)[0] is Outcome.MALFORMED


def test_html_with_status_200_is_malformed(outcome_of: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.whole(b"<html>hello</html>", kind="text/html")

    outcome, detail = outcome_of(handle)
    assert outcome is Outcome.MALFORMED
    assert "text/html" in detail


def test_an_error_body_with_status_200_is_an_error_event(outcome_of: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.whole(ERROR_EVENT)

    assert outcome_of(handle) == (Outcome.ERROR_EVENT, "engine died")


def test_an_error_event_within_a_stream_is_a_failure(outcome_of: Any, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        await reply.event(lab.ROLE)
        for _ in range(3):
            await reply.event(lab.text("a", ids=[1]))
        await reply.event(ERROR_EVENT)
        await reply.event(b"[DONE]")
        await reply.write(b"0\r\n\r\n")

    assert outcome_of(handle) == (Outcome.ERROR_EVENT, "engine died")


def test_a_stream_without_done_is_truncated(outcome_of: Any, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        await reply.event(lab.text("a", finish="length", ids=[1]))
        await reply.write(b"0\r\n\r\n")

    assert outcome_of(handle) == (Outcome.TRUNCATED, "no [DONE]")


def test_a_stream_without_a_finish_reason_is_truncated(outcome_of: Any, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        await reply.event(lab.text("a", ids=[1]))
        await reply.event(b"[DONE]")
        await reply.write(b"0\r\n\r\n")

    assert outcome_of(handle) == (Outcome.TRUNCATED, "no finish_reason")


def test_a_stream_without_content_is_empty(outcome_of: Any, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        await reply.event(lab.ROLE)
        await reply.event(b"[DONE]")
        await reply.write(b"0\r\n\r\n")

    assert outcome_of(handle)[0] is Outcome.EMPTY


def test_invalid_json_in_an_event_is_malformed(outcome_of: Any, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        await reply.event(lab.text("a", finish="length", ids=[1]))
        await reply.event(b"{'single': quotes}")
        await reply.event(b"[DONE]")
        await reply.write(b"0\r\n\r\n")

    outcome, detail = outcome_of(handle)
    assert outcome is Outcome.MALFORMED
    assert "single" in detail


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("400 Bad Request", Outcome.HTTP_4XX),
        ("503 Service Unavailable", Outcome.HTTP_5XX),
        ("302 Found", Outcome.MALFORMED),
    ],
)
def test_a_status_is_its_class(outcome_of: Any, status: str, outcome: Outcome) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.whole({"error": {"message": "no"}}, status=status)

    assert outcome_of(handle) == (outcome, "no")


def test_a_429_is_its_own_class_and_keeps_what_the_server_asked_for(outcome_of: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        body = {"error": {"message": "slow down"}}
        await reply.whole(body, status="429 Too Many Requests", more="retry-after: 1\r\n")

    assert outcome_of(handle) == (Outcome.HTTP_429, "slow down; retry-after: 1")


def test_a_stall_of_30_seconds_is_a_timeout_that_keeps_the_tokens_before_it(
    serve: Serve, lab: ModuleType
) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        for i in range(3):
            await reply.event(lab.text("a", ids=[i]))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(30):
                await reply.reader.read()

    server = serve(handle)
    began = time.monotonic()
    record = lab.load_once(server.url, timeout_s=0.5)
    assert time.monotonic() - began < 15
    assert record.outcome is Outcome.TIMEOUT
    assert record.chunk_tokens.tolist() == [1, 1, 1]
    assert server.closed_within(2)
    server.close()


def test_a_stall_that_ends_is_the_stall_of_its_request(serve: Serve, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        await reply.event(lab.text("a", ids=[1]))
        await asyncio.sleep(0.4)
        await reply.event(lab.text("a", finish="length", ids=[1]))
        await reply.event(b"[DONE]")
        await reply.write(b"0\r\n\r\n")

    server = serve(handle)
    metrics = summarise(lab.load(server.url, Stage(arrivals=ClosedLoop(1), requests=1)))
    assert metrics.succeeded == 1
    # The server's own clock: its second token left so long after the first.
    sent = server.replies[0].sent_ns
    assert metrics.stall.max == pytest.approx((sent[2] - sent[1]) / 1e9, rel=0.05)
    server.close()


def test_a_failed_tls_handshake_is_its_own_class(lab: ModuleType) -> None:
    def refuse(listener: socket.socket) -> None:
        while True:
            accepted, _ = listener.accept()
            with accepted:
                if not accepted.recv(65536):
                    return
                accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=refuse, args=(listener,), daemon=True)
        server.start()
        record = lab.load_once(f"https://127.0.0.1:{listener.getsockname()[1]}/v1", timeout_s=2.0)
        with socket.create_connection(listener.getsockname()):
            pass  # nothing sent: the server ends
        server.join(5)
    assert record.outcome is Outcome.TLS
    assert "handshake failed" in record.detail
    assert record.sent_s is None


def test_a_stage_of_several_faults_reports_each_by_its_class(serve: Serve, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        match len(server.requests) % 4:
            case 0:
                await reply.write(lab.STREAM_HEAD)
                reply.close()
            case 1:
                await reply.whole({"error": "full"}, status="429 Too Many Requests")
            case 2:
                await reply.whole({"error": "down"}, status="503 Service Unavailable")
            case _:
                await lab.answering()(request, reply)

    server = serve(handle)
    metrics = summarise(lab.load(server.url, Stage(arrivals=ClosedLoop(1), requests=8)))
    assert metrics.failures == {"truncated": 2, "http_429": 2, "http_5xx": 2}
    assert (metrics.succeeded, metrics.verdict.state) == (2, "void")
    server.close()


def test_an_endless_stream_ends_with_the_timeout(outcome_of: Any, lab: ModuleType) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        while True:
            await reply.event(lab.text("abcdefgh " * 500))

    assert outcome_of(handle, timeout_s=0.4)[0] is Outcome.TIMEOUT


def test_a_flood_is_cut_off_at_the_limit(
    outcome_of: Any, lab: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.load.connection.MAX_RESPONSE_BYTES", 1 << 20)

    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        while True:
            await reply.event(b"x" * 60_000)

    outcome, detail = outcome_of(handle)
    assert outcome is Outcome.MALFORMED
    assert "1 MiB" in detail


def test_many_floods_at_once_are_bounded_together(
    serve: Serve, lab: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.load.connection.MAX_HELD_BYTES", 1 << 20)

    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD)
        for _ in range(10):
            await reply.event(b"x" * 60_000)
        await reply.reader.read()

    server = serve(handle)
    result = lab.load(server.url, Stage(arrivals=ClosedLoop(4), requests=4, timeout_s=0.6))
    # 4 x 0.6 MB do not fit into 1 MiB: at least two had to go, and then the rest had room.
    details = [r.detail for r in result.records if r.outcome is Outcome.MALFORMED]
    assert 1 <= len(details) < 4
    assert all("1 MiB in all responses" in detail for detail in details)
    assert server.closed_within(2)
    server.close()


def test_endless_trailers_are_refused(
    outcome_of: Any, lab: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.load.connection.MAX_RESPONSE_BYTES", 1 << 20)

    async def handle(request: Any, reply: Any) -> None:
        await reply.write(lab.STREAM_HEAD + b"0\r\n")
        while True:
            await reply.write(b"x-more: %b\r\n" % (b"y" * 8000))

    assert outcome_of(handle, timeout_s=10.0)[0] is Outcome.MALFORMED


def test_endless_response_headers_are_refused(outcome_of: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            await reply.write(b"x-more: %b\r\n" % (b"y" * 8000))

    assert outcome_of(handle, timeout_s=3.0)[0] is Outcome.MALFORMED


def test_an_unreachable_server_does_not_spin_the_client(lab: ModuleType) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        result = lab.load(url, Stage(arrivals=ClosedLoop(4), duration_s=0.5))
    assert {record.outcome for record in result.records} <= {Outcome.CONNECT, Outcome.UNFINISHED}
    # Pauses of 50, 100, 200 … ms: at most 4 tries of each of the 4 users in half a second.
    assert 4 <= len(result.records) <= 20
