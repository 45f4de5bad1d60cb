"""Requests to an ASGI application in the same process: what uvicorn and sockets do otherwise, without either.

``MemoryPool`` stands in for the load client's connections, ``MemoryTransport`` for httpx's. An answer's bytes arrive at
the instant they are sent. A client that goes away is told to the application as a server would tell it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from urllib.parse import unquote

import httpx

from harness.load.records import Outcome
from harness.load.response import Response
from harness.simulator.asgi import Receive, Scope, Send

Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
LOST = "the server closed the connection"


class Client(Protocol):
    """Who is told of an answer as it comes."""

    def head(self, status: int, headers: Headers) -> None: ...
    def body(self, data: bytes) -> None: ...


class Exchange:
    """One request and its answer, from ``run`` to its end. ``aborted`` when the application reset the connection."""

    def __init__(
        self,
        application: Application,
        client: Client,
        *,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
    ) -> None:
        path, _, query = target.partition("?")
        self._application, self._client = application, client
        self._scope: Scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": method, "scheme": "http", "path": unquote(path), "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"), "root_path": "", "headers": list(headers),
            "client": ("127.0.0.1", 0), "server": ("127.0.0.1", 80), "extensions": {"transport": {"transport": self}},
        }  # fmt: skip
        self._request: bytes | None = body
        self._ended = asyncio.Event()
        self.complete = False
        self.aborted = False

    async def run(self) -> None:
        """Until the answer is whole or broken off; cancelled, the application is told that the client is gone."""
        task = asyncio.ensure_future(self._application(self._scope, self._receive, self._send))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._ended.set()
            ended.cancel()
        if task.done():
            task.result()  # a defect of the application is not to pass for an answer
        else:
            await task

    def get_extra_info(self, name: str) -> None:
        """No socket behind this transport."""

    def abort(self) -> None:
        """The application resets the connection."""
        self.aborted = True
        self._ended.set()

    async def _receive(self) -> dict[str, Any]:
        if self._request is not None:
            body, self._request = self._request, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._ended.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if self._ended.is_set():
            return
        if message["type"] == "http.response.start":
            self._client.head(message["status"], message.get("headers", ()))
            return
        if data := message.get("body", b""):
            self._client.body(data)
        if not message.get("more_body", False):
            self.complete = True
            self._ended.set()


class MemoryPool:
    """The load client's connections to an application. ``now_ns`` stamps what arrives.

    A request is under way for ``transit_s``. Without, requests that set out together would arrive together, as on no
    real machine: the engine would batch their prompts, and users who began at one instant would stay in step for ever.
    """

    def __init__(
        self, application: Application, *, now_ns: Callable[[], int], transit_s: Callable[[], float]
    ) -> None:
        self.opened = 0
        self._transit_s = transit_s
        self._application = application
        self._now_ns = now_ns

    async def exchange(self, request: bytes, response: Response) -> None:
        """Send ``request`` and fill ``response``, as ``harness.load.pool.Pool`` does."""
        head, _, body = request.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        method, target, _ = line.decode("latin-1").split(" ")
        pairs = [field.split(b": ", 1) for field in fields]
        headers = [(name.lower(), value) for name, value in pairs]
        response.connected_ns = response.sent_ns = self._now_ns()
        await asyncio.sleep(self._transit_s())
        exchange = Exchange(
            self._application,
            _Recorder(response, self._now_ns),
            method=method,
            target=target,
            headers=headers,
            body=body,
        )
        await exchange.run()
        response.complete = exchange.complete
        response.ended_ns = self._now_ns()
        if not exchange.complete:
            within = "within the response" if response.headers_ns is not None else "before a response"
            response.fail(Outcome.TRUNCATED, f"{LOST} {within}")

    async def warm(self, count: int) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to free."""


class _Recorder:
    """Keeps an answer as the load client's parser would."""

    def __init__(self, response: Response, now_ns: Callable[[], int]) -> None:
        self._response, self._now_ns = response, now_ns

    def head(self, status: int, headers: Headers) -> None:
        response = self._response
        response.status, response.headers_ns = status, self._now_ns()
        response.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers
        }

    def body(self, data: bytes) -> None:
        self._response.came(len(data))
        self._response.add(self._now_ns(), data)
        self._response.user_reads += 1


class MemoryTransport(httpx.AsyncBaseTransport):
    """httpx's way to an application. Answers are whole when they are given."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The application's answer; ReadError when it reset the connection."""
        collected = _Collector()
        exchange = Exchange(
            self._application,
            collected,
            method=request.method,
            target=request.url.raw_path.decode("ascii"),
            headers=[(name.lower(), value) for name, value in request.headers.raw],
            body=await request.aread(),
        )
        await exchange.run()
        if exchange.aborted or not exchange.complete:
            raise httpx.ReadError(LOST, request=request)
        return httpx.Response(
            collected.status,
            headers=list(collected.headers),
            content=b"".join(collected.parts),
            request=request,
        )


class _Collector:
    """Keeps an answer whole."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = ()
        self.parts: list[bytes] = []

    def head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers

    def body(self, data: bytes) -> None:
        self.parts.append(data)
