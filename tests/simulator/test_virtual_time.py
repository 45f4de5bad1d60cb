"""The jumping loop and the way to an application in memory, each by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from harness.load.records import Outcome
from harness.load.response import Response
from harness.simulator.memory import MemoryPool, MemoryTransport
from harness.simulator.virtual_time import VirtualLoop

REQUEST = b"POST /v1/x%20y?a=1 HTTP/1.1\r\nhost: here\r\nX-Mark: yes\r\n\r\nhello"


def play(use: Callable[[VirtualLoop], Coroutine[Any, Any, Any]]) -> Any:
    """Run ``use`` on a virtual loop."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return await use(loop)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def test_an_hour_of_sleeping_takes_no_time_and_wakes_in_order() -> None:
    woken: list[tuple[str, float]] = []

    async def use(loop: VirtualLoop) -> None:
        async def sleeper(name: str, *naps: float) -> None:
            for nap in naps:
                await asyncio.sleep(nap)
                woken.append((name, loop.time()))

        await asyncio.gather(sleeper("a", 3600.0), sleeper("b", 1.5, 1.5), sleeper("c", 2.0))

    began = time.process_time()
    play(use)
    assert woken == [("b", 1.5), ("c", 2.0), ("b", 3.0), ("a", 3600.0)]
    assert time.process_time() - began < 5


def test_what_is_ready_runs_before_time_goes_on() -> None:
    async def use(loop: VirtualLoop) -> list[float]:
        seen = []
        for _ in range(1000):
            await asyncio.sleep(0)
            seen.append(loop.time())
        return seen

    assert set(play(use)) == {0.0}


def test_deadlines_hold_in_virtual_time() -> None:
    async def use(loop: VirtualLoop) -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return loop.now_ns()

    assert play(use) == 30_000_000_000


def test_work_for_a_thread_runs_in_the_loop_while_time_stands() -> None:
    def fails() -> None:
        raise KeyError("x")

    async def use(loop: VirtualLoop) -> tuple[int, float]:
        other = asyncio.ensure_future(asyncio.sleep(0.001))
        found = await asyncio.to_thread(lambda: 7)
        with pytest.raises(KeyError):
            await asyncio.to_thread(fails)
        assert not other.done()
        return found, loop.time()

    assert play(use) == (7, 0.0)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was asked, in two parts a second apart."""
    message = await receive()
    headers = dict(scope["headers"])
    told = (
        f"{scope['method']} {scope['path']}?{scope['query_string'].decode()} {headers[b'x-mark'].decode()} "
    )
    await send({"type": "http.response.start", "status": 201, "headers": [(b"Content-Type", b"text/plain")]})
    await send({"type": "http.response.body", "body": told.encode(), "more_body": True})
    await asyncio.sleep(1.0)
    await send({"type": "http.response.body", "body": message["body"]})


async def resets(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    scope["extensions"]["transport"]["transport"].abort()


def exchanged(application: Any) -> Response:
    async def use(loop: VirtualLoop) -> Response:
        response = Response()
        pool = MemoryPool(application, now_ns=loop.now_ns, transit_s=lambda: 0.25)
        await pool.exchange(REQUEST, response)
        return response

    found = play(use)
    assert isinstance(found, Response)
    return found


def test_an_answer_in_memory_is_stamped_when_each_part_was_sent() -> None:
    response = exchanged(echo)
    assert (response.status, response.complete, response.outcome) == (201, True, None)
    assert response.headers == {"content-type": "text/plain"}
    assert response.body == [(250_000_000, b"POST /v1/x y?a=1 yes "), (1_250_000_000, b"hello")]
    assert (response.sent_ns, response.headers_ns, response.ended_ns) == (0, 250_000_000, 1_250_000_000)


def test_a_reset_in_memory_is_a_truncated_answer_and_a_read_error() -> None:
    response = exchanged(resets)
    assert (response.outcome, response.complete) == (Outcome.TRUNCATED, False)
    assert response.detail == "the server closed the connection within the response"

    async def use(loop: VirtualLoop) -> None:
        async with httpx.AsyncClient(transport=MemoryTransport(resets)) as client:
            await client.get("http://nowhere/")

    with pytest.raises(httpx.ReadError):
        play(use)


def test_a_client_that_goes_away_is_told_to_the_application() -> None:
    seen: list[str] = []

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            seen.append(message["type"])
            if message["type"] == "http.disconnect":
                return

    async def use(loop: VirtualLoop) -> None:
        pool = MemoryPool(waits, now_ns=loop.now_ns, transit_s=lambda: 0.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await pool.exchange(REQUEST, Response())
        await asyncio.sleep(0.1)

    play(use)
    assert seen == ["http.request", "http.disconnect"]


def test_a_defect_of_the_application_is_not_an_answer() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exchanged(broken)
