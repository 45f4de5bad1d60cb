"""A loopback server that does what a test's handler says, in a thread of its own, and knows what it sent and when."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from harness.load.arrivals import ClosedLoop
from harness.load.driver import run_stage
from harness.load.lengths import FixedLength
from harness.load.probe import Probe
from harness.load.prompts import GUESS
from harness.load.records import Endpoint, RequestRecord, StageResult
from harness.load.stage import Stage
from harness.load.workload import Workload

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)


@dataclass
class Request:
    """A request as the server read it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    connection: int


@dataclass
class Reply:
    """The server's end of one connection. ``sent_ns`` holds the time of each write, taken just before it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    sent_ns: list[int] = field(default_factory=list)

    async def write(self, data: bytes) -> None:
        self.sent_ns.append(time.monotonic_ns())
        self.writer.write(data)
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def event(self, message: Any) -> None:
        await self.chunk(
            b"data: " + (message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n\n"
        )

    async def whole(
        self, body: Any, *, status: str = "200 OK", kind: str = "application/json", more: str = ""
    ) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n{more}\r\n"
        await self.write(head.encode() + content)

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


Handler = Callable[[Request, Reply], Awaitable[None]]


def text(
    content: str, *, finish: str | None = None, ids: list[int] | None = None, **more: Any
) -> dict[str, Any]:
    """One chat chunk with content."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish, "token_ids": ids}
    return {"choices": [choice], **more}


ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}


def usage(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    """The usage chunk."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}}


def words_of(body: Any) -> int:
    """Prompt tokens of a server whose tokenizer counts words and whose template adds 3."""
    prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    return len(prompt.split()) + 3


def answering(*, first_s: float = 0.01, gap_s: float = 0.002) -> Handler:
    """A handler that serves models and completes prompts as vLLM does."""

    async def handle(request: Request, reply: Reply) -> None:
        if request.method == "GET":
            await reply.whole({"data": [{"id": "tiny", "max_model_len": 4096}]})
            return
        body, wanted, prompt = request.body, request.body["max_tokens"], words_of(request.body)
        if not body.get("stream"):
            message = {"message": {"content": "x"}, "finish_reason": "length"}
            await reply.whole({**usage(prompt, wanted), "choices": [message]})
            return
        await reply.write(STREAM_HEAD)
        await asyncio.sleep(first_s)
        await reply.event(ROLE)
        for i in range(wanted):
            ids = [i] if body.get("return_token_ids") else None
            await reply.event(text("a ", finish="length" if i == wanted - 1 else None, ids=ids))
            await asyncio.sleep(gap_s)
        await reply.event(usage(prompt, wanted))
        await reply.event(b"[DONE]")
        await reply.write(b"0\r\n\r\n")

    return handle


class Server:
    """Serves until closed. ``requests`` are in order of arrival, ``replies`` beside them."""

    def __init__(
        self, handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.handler, self.tls, self.host = handler, tls, host
        self.requests: list[Request] = []
        self.replies: list[Reply] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(5)

    @property
    def url(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{name}:{self.port}/v1"

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, self.host, 0, ssl=self.tls, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        number = self.connections
        try:
            async for request in read_requests(reader, number):
                reply = Reply(reader, writer)
                self.requests.append(request)
                self.replies.append(reply)
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    await self.handler(request, reply)
                finally:
                    self.in_flight -= 1
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(5)

    def closed_within(self, seconds: float) -> bool:
        """True when every connection is gone before ``seconds`` are over."""
        end = time.monotonic() + seconds
        while self.open and time.monotonic() < end:
            time.sleep(0.01)
        return self.open == 0


async def read_requests(reader: asyncio.StreamReader, number: int) -> AsyncIterator[Request]:
    while True:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return
        line, *rest = head.rstrip().split("\r\n")
        headers = {key.lower(): value for key, value in (entry.split(": ", 1) for entry in rest)}
        length = int(headers.get("content-length", 0))
        content = await reader.readexactly(length)
        method, path, _ = line.split(" ")
        yield Request(method, path, headers, json.loads(content) if content else None, number)


@pytest.fixture
def lab() -> ModuleType:
    """This module: its chunks, handlers and one-line load tests."""
    return sys.modules[__name__]


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server for a handler; stopped after the test."""
    servers: list[Server] = []

    def start(handler: Handler | None = None, **options: Any) -> Server:
        servers.append(Server(handler or answering(), **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def no_leak() -> Iterator[None]:
    """Fail when the test leaves more descriptors open than it found."""
    before = len(os.listdir("/proc/self/fd"))
    yield
    after = len(os.listdir("/proc/self/fd"))
    assert after <= before


PROBE = Probe(
    model="tiny",
    max_model_len=4096,
    usage=True,
    token_ids=True,
    continuous_usage=False,
    cache_salt=True,
    exact_length="ignore_eos",
    cached_tokens=False,
    round_trip_s=None,
    calibration=GUESS,
)


def load_once(url: str, *, timeout_s: float = 5.0, output: int = 5, **endpoint: Any) -> RequestRecord:
    """One request and its record."""
    stage = Stage(arrivals=ClosedLoop(1), requests=1, timeout_s=timeout_s)
    [record] = load(url, stage, output=output, **endpoint).records
    return record


def load(url: str, stage: Stage, *, output: int = 5, streamed: bool = True, **endpoint: Any) -> StageResult:
    """A stage of short chat requests, on asyncio's own loop."""
    workload = Workload(input_tokens=FixedLength(20), output_tokens=FixedLength(output), streamed=streamed)
    return asyncio.run(run_stage(Endpoint(url, "tiny", **endpoint), stage, workload, probe=PROBE))
