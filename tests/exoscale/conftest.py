"""A client whose network is a function, and a clock that only sleeping moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from harness.exoscale.client import ExoscaleClient
from harness.exoscale.credentials import Credentials
from harness.exoscale.retries import RetryPolicy
from harness.exoscale.waiting import Polling
from harness.secret import Secret

SECRET = "planted-api-secret-0123456789"
CREDENTIALS = Credentials(
    key="EXOtest", secret=Secret(SECRET), zone="ch-gva-2", endpoint="https://api-ch-gva-2.exoscale.com/v2"
)
NOW = 1_772_000_000.0


@dataclass
class FakeTime:
    """Seconds that pass only while somebody sleeps."""

    elapsed: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.elapsed

    def unix(self) -> float:
        return NOW + self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed += seconds
        await asyncio.sleep(0)


@dataclass
class Script:
    """Answers in order, the last one for ever; an exception is raised instead. Remembers the requests."""

    answers: Sequence[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def polling(time: FakeTime) -> Polling:
    return Polling(deadline_s=600.0, clock=time.clock, sleep=time.sleep)


@pytest.fixture
def script() -> Callable[..., Script]:
    return lambda *answers: Script(answers)


@pytest.fixture
def run(time: FakeTime) -> Callable[..., Any]:
    """``run(handler, lambda client: client.get_deployment("x"))``: one coroutine over a scripted network."""

    def run_one(
        handler: Callable[[httpx.Request], httpx.Response],
        use: Callable[[ExoscaleClient], Coroutine[Any, Any, Any]],
        *,
        deadline_s: float = 120.0,
    ) -> Any:
        policy = RetryPolicy(
            deadline_s=deadline_s,
            clock=time.clock,
            unix_clock=time.unix,
            sleep=time.sleep,
            jitter=lambda: 0.0,
        )

        async def main() -> Any:
            transport = httpx.MockTransport(handler)
            async with ExoscaleClient(CREDENTIALS, transport=transport, policy=policy) as client:
                return await use(client)

        return asyncio.run(main())

    return run_one
