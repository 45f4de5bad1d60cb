"""When a deployment on Exoscale is ready, and what it then runs: its state, its answer, its log, a completion."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from harness.errors import NetworkError, NotFoundError, PlatformError, RateLimitedError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import Clock, is_ambiguous
from harness.exoscale.session import certificates
from harness.exoscale.urls import check_deployment_url, is_loopback
from harness.exoscale.waiting import Polling, poll_interval_s, wait_for_operation, wait_until_settled
from harness.exoscale.wire import Deployment, Operation
from harness.load.records import Endpoint
from harness.plan.cells import Cell
from harness.secret import MASK, Secret, redact
from harness.sweep.deployers import Run, StateCallback
from harness.sweep.readiness import COMPLETION_TIMEOUT_S, NotAnswering, complete_once
from harness.sweep.running import answer_differences, log_differences

# Enough to reach back to an engine's first lines, which say what it runs with.
WHOLE_LOG = 5000
PRINTED_KEY = re.compile(r"('(?:api_key|hf_token)': )(?:\[[^\]]*\]|'[^']*')")


@dataclass(frozen=True, slots=True)
class CloudTiming:
    """Deadlines in seconds, and real seconds per second of the cloud: below 1 for a simulated one that hurries.

    Polling is paced by it, and the time to ready is told in the cloud's seconds.
    """

    ready_s: float = 1800.0
    operation_s: float = 600.0
    pace: float = 1.0
    clock: Callable[[], float] = time.monotonic

    def polling(self, deadline_s: float) -> Polling:
        """The polling of one wait."""
        return Polling(deadline_s, interval=self.interval_s, clock=self.clock)

    def interval_s(self, elapsed_s: float) -> float:
        """The pause after ``elapsed_s`` of waiting."""
        return poll_interval_s(elapsed_s / self.pace) * self.pace


async def settled(
    client: ExoscaleClient,
    deployment_id: str,
    on_state: StateCallback,
    *,
    creation: Operation | None,
    polling: Polling,
) -> Deployment:
    """The deployment in ``ready`` or ``error``; OperationFailed as soon as its creation is known to have failed."""
    state = asyncio.ensure_future(
        wait_until_settled(client, deployment_id, polling=polling, on_state=on_state)
    )
    waits: set[asyncio.Future[Any]] = {state}
    if creation is not None and creation.id is not None:
        waits.add(asyncio.ensure_future(wait_for_operation(client, creation, polling=polling)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits - {state}:
            if wait.done() and not state.done():
                wait.result()
        return await state
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def shape_differences(cell: Cell, deployment: Deployment) -> list[str]:
    """What the platform's answer says that was not asked, one sentence each; what it leaves out is not judged."""
    asked: Mapping[str, tuple[object, object]] = {
        "vLLM": (cell.engine_version, deployment.inference_engine_version),
        "GPU type": (cell.gpu_type, deployment.gpu_type),
        "GPUs per replica:": (cell.gpu_count, deployment.gpu_count),
        "replicas:": (cell.replicas, deployment.replicas),
    }
    found = [
        f"asked for {what} {wanted}, got {got}"
        for what, (wanted, got) in asked.items()
        if got is not None and got != wanted
    ]
    model = deployment.model
    if model is not None and (model.id or model.name) and cell.model not in (model.id, model.name):
        found.append(f"asked for model {cell.model}, got {model.name or model.id}")
    if deployment.inference_engine_parameters is not None:
        found += answer_differences(cell, deployment.inference_engine_parameters)
    return found


async def engine_differences(
    client: ExoscaleClient, cell: Cell, deployment_id: str, *, before: Sequence[str]
) -> list[str] | None:
    """What the engines' logs say that was not asked, each replica for itself; None when none says anything.

    A log out of reach is no difference: it may be while all is well.
    """
    try:
        entries = await client.get_deployment_logs(deployment_id, tail=WHOLE_LOG)
    except PlatformError:
        return None
    by_node: dict[str | None, list[str]] = {}
    for entry in entries:
        by_node.setdefault(entry.node, []).append(entry.message)
    told = [log_differences(cell, lines, before=before) for lines in by_node.values()]
    spoken = [found for found in told if found is not None]
    return list(dict.fromkeys(text for found in spoken for text in found)) if spoken else None


async def answering(
    client: ExoscaleClient,
    run: Run,
    deployment_id: str,
    deployment: Deployment,
    *,
    timing: CloudTiming,
    deadline: float,
    clock: Clock,
    on_key: Callable[[Secret], None],
    transport: httpx.AsyncBaseTransport | None = None,
) -> Endpoint:
    """The endpoint once a real one-token completion came back; NotAnswering at the deadline.

    A late key, a 503, a host name without an address yet and a passing failure of the API are waited through;
    PlatformError for a URL that is not to be spoken to. ``on_key`` is told the endpoint's key;
    ``transport`` stands in for the network.
    """
    trust_env = not is_loopback(client.credentials.endpoint)
    verify = certificates(trust_env=trust_env)
    async with httpx.AsyncClient(
        timeout=COMPLETION_TIMEOUT_S, trust_env=trust_env, verify=verify, transport=transport
    ) as http:
        while True:
            try:
                if deployment.deployment_url is None:
                    raise NotAnswering("it has no deployment-url")
                endpoint = await _safe_endpoint(client, run, deployment_id, deployment.deployment_url, on_key)
                await complete_once(http, endpoint)
                return endpoint
            except (NotFoundError, NotAnswering, PlatformError) as error:
                if not _may_pass(error):
                    raise
                if clock() >= deadline:
                    raise NotAnswering(str(error)) from error
            await asyncio.sleep(timing.interval_s(0.0))
            deployment = await _seen_again(client, deployment_id, deployment)


def _may_pass(error: Exception) -> bool:
    """True for what time may heal while a deployment is young."""
    if not isinstance(error, PlatformError):
        return True
    return is_ambiguous(error) or isinstance(error, NotFoundError | RateLimitedError | NetworkError)


async def _safe_endpoint(
    client: ExoscaleClient, run: Run, deployment_id: str, url: str, on_key: Callable[[Secret], None]
) -> Endpoint:
    await asyncio.to_thread(check_deployment_url, url, endpoint=client.credentials.endpoint)
    key = await client.reveal_deployment_api_key(deployment_id)
    on_key(key)
    return Endpoint(url, run.cell.model, key)


async def _seen_again(client: ExoscaleClient, deployment_id: str, before: Deployment) -> Deployment:
    """The deployment as it is now, or as it was when the API fails in passing; NotFoundError once it is gone."""
    try:
        return await client.get_deployment(deployment_id)
    except NotFoundError:
        raise
    except PlatformError as error:
        if not _may_pass(error):
            raise
        return before


def without_keys(message: str, keys: Sequence[Secret]) -> str:
    """A log line without the keys we know and without what stands where an engine prints one."""
    return PRINTED_KEY.sub(rf"\g<1>'{MASK}'", redact(message, tuple(keys)))
