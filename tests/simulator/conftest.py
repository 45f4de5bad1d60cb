"""Simulators in processes of their own, shared by a module, and a client that polls them quickly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import RetryPolicy
from harness.exoscale.waiting import Polling, delete_until_gone
from harness.simulator.process import SimulatorProcess
from harness.simulator.refusal import Dialect
from harness.simulator.server import Options

TIME_SCALE = 1000.0
MODEL = "Qwen/Qwen3-4B"
FOREIGN = ("sweep-demo", "somebody-elses")

Use = Callable[[ExoscaleClient], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="session")
def polling() -> Polling:
    return Polling(deadline_s=20.0, interval=lambda elapsed_s: 0.01)


@pytest.fixture(scope="module", params=[Dialect.SEED, Dialect.RFC9457], ids=str)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    kind: Dialect = request.param
    return kind


@pytest.fixture(scope="module")
def simulator(dialect: Dialect) -> Iterator[SimulatorProcess]:
    """A zone without faults, once in each dialect."""
    with SimulatorProcess(Options(time_scale=TIME_SCALE, dialect=dialect, foreign=FOREIGN)) as process:
        yield process


@pytest.fixture(scope="module")
def unhurried() -> Iterator[SimulatorProcess]:
    """A zone in real time, for what is to be seen in between; its deployments are left to its end."""
    with SimulatorProcess(Options(time_scale=1.0)) as process:
        yield process


@pytest.fixture
def drive(polling: Polling) -> Callable[..., Any]:
    """``drive(simulator, use)`` runs one coroutine with a client, then deletes every deployment it left."""

    def run(process: SimulatorProcess, use: Use) -> Any:
        async def main() -> Any:
            policy = RetryPolicy(first_wait_s=0.01, longest_wait_s=0.1, deadline_s=5.0)
            async with ExoscaleClient(process.credentials, policy=policy) as client:
                try:
                    return await use(client)
                finally:
                    for left in process.state()["alive"]:
                        await delete_until_gone(client, left["id"], polling=polling)

        return asyncio.run(main())

    return run


@pytest.fixture
def ask() -> Callable[..., Any]:
    """``ask(client, name, **changes)``: one create with usable defaults."""

    async def create(client: ExoscaleClient, name: str, **changes: Any) -> Any:
        fields: dict[str, Any] = {
            "name": name,
            "model": MODEL,
            "gpu_type": "gpua5000",
            "gpu_count": 1,
            "engine_version": "0.15.1",
            "parameters": ["--max-model-len=4096"],
        }
        return await client.create_deployment(**(fields | changes))

    return create
