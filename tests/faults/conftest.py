"""One zone whose deployments go wrong according to their names: ``slow-start`` starts slowly, and so on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import RetryPolicy
from harness.exoscale.waiting import Polling
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options

TIME_SCALE = 1000.0
RULES = """
faults:
  # the call
  - {fault: rate-limited, subject: rate-limited, operation: get-deployment, times: 2, retry_after_s: 0}
  - {fault: rate-limited, subject: rate-limited-create, operation: create-deployment, times: 1, retry_after_s: 0}
  - {fault: server-error, subject: server-error, operation: get-deployment, times: 1, status: 500}
  - {fault: server-error, subject: server-error, operation: get-deployment, times: 1, status: 502}
  - {fault: server-error, subject: server-error, operation: get-deployment, times: 1, status: 503, body: "not now"}
  - {fault: reset-before, subject: reset-before, operation: get-deployment, times: 2}
  - {fault: reset-before, subject: reset-before-create, operation: create-deployment, times: 1}
  - {fault: reset-after, subject: reset-after-create, operation: create-deployment, times: 1}
  - {fault: reset-after, subject: reset-after-delete, operation: delete-deployment, times: 1}
  - {fault: error-after, subject: error-after-create, operation: create-deployment, times: 1, status: 502}
  - {fault: forbidden, subject: forbidden, operation: get-deployment, times: 1}
  - {fault: clock-skew, subject: clock-skew, operation: get-deployment, times: 1, seconds: 900}
  - {fault: slow-answer, subject: slow-answer, operation: get-deployment, times: 1, seconds: 300}
  - {fault: busy, subject: busy-delete, operation: delete-deployment, times: 3}
  # the life cycle
  - {fault: no-capacity, subject: no-capacity, operation: create-deployment}
  - {fault: no-capacity, subject: gpu3080ti, operation: create-deployment}
  - {fault: no-reference, subject: no-reference, operation: create-deployment}
  - {fault: operation-unknown, subject: operation-unknown, operation: create-deployment, seconds: 1500}
  - {fault: operation-stuck, subject: operation-stuck, operation: create-deployment, seconds: 300}
  - {fault: operation-stuck, subject: stuck-delete, operation: delete-deployment, seconds: 300, times: 1}
  - {fault: operation-failed, subject: operation-failed, operation: create-deployment, message: no node}
  - {fault: operation-failed, subject: failed-delete, operation: delete-deployment, times: 2}
  - {fault: deployment-error, subject: deployment-error, message: CUDA out of memory. Tried to allocate 2 GiB.}
  - {fault: deployment-stuck, subject: stuck-creating, operation: creating}
  - {fault: deployment-stuck, subject: stuck-deploying, operation: deploying}
  - {fault: slow-start, subject: slow-start, factor: 10}
  - {fault: unknown-state, subject: unknown-state, operation: deploying, state: rebalancing}
  - {fault: key-late, subject: key-late, seconds: 2000}
  - {fault: url-unavailable, subject: url-unavailable, seconds: 2000}
  - {fault: parameters-dropped, subject: parameters-dropped}
  # the endpoint's answers
  - {fault: dead-replica, subject: dead-replica, every: 2}
  - {fault: html, subject: html}
  - {fault: empty-stream, subject: empty-stream}
  - {fault: disconnect, subject: disconnect}
  - {fault: truncated-json, subject: truncated-json}
  - {fault: no-done, subject: no-done}
  - {fault: no-usage, subject: no-usage}
  - {fault: wrong-usage, subject: wrong-usage}
  - {fault: error-event, subject: error-event}
  - {fault: stall, subject: stall, seconds: 20000}
  - {fault: duplicate-chunks, subject: duplicate-chunks}
  - {fault: merged-chunks, subject: merged-chunks}
  - {fault: late-role, subject: late-role, seconds: 500}
  - {fault: slow-replica, subject: slow-replica, every: 2, seconds: 50}
  - {fault: engine-restart, subject: engine-restart, skip: 1, times: 1, seconds: 300}
quotas: {gpu3: 64}
stock: {gpu3: 64}
"""

Use = Callable[[ExoscaleClient], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="session")
def polling() -> Polling:
    return Polling(deadline_s=10.0, interval=lambda elapsed_s: 0.01)


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    path: Path = tmp_path_factory.mktemp("faults") / "faults.yaml"
    path.write_text(RULES)
    with SimulatorProcess(
        Options(time_scale=TIME_SCALE, faults=path, foreign=("somebody-elses",))
    ) as process:
        yield process


@pytest.fixture
def drive(zone: SimulatorProcess) -> Callable[[Use], Any]:
    """``drive(use)`` runs one coroutine with a client of the zone."""

    def run(use: Use) -> Any:
        async def main() -> Any:
            policy = RetryPolicy(first_wait_s=0.01, longest_wait_s=0.05, deadline_s=3.0)
            async with ExoscaleClient(zone.credentials, policy=policy) as client:
                return await use(client)

        return asyncio.run(main())

    return run


@pytest.fixture
def ask() -> Callable[..., Any]:
    async def create(client: ExoscaleClient, name: str, **changes: Any) -> Any:
        fields: dict[str, Any] = {
            "name": name,
            "model": "Qwen/Qwen3-4B",
            "gpu_type": "gpu3",
            "gpu_count": 1,
            "engine_version": "0.15.1",
            "parameters": ["--max-model-len=4096"],
        }
        return await client.create_deployment(**(fields | changes))

    return create
