"""Each fault of a call and of the life cycle over real HTTP, and what client and waiting make of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.errors import (
    ApiError,
    CapacityError,
    ForbiddenError,
    NetworkError,
    NotFoundError,
    OperationFailed,
)
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import is_ambiguous
from harness.exoscale.waiting import (
    Polling,
    StillPending,
    created_deployment_id,
    delete_until_gone,
    find_deployment,
    wait_for_operation,
    wait_until_settled,
)
from harness.simulator.process import SimulatorProcess

Drive = Callable[..., Any]
Ask = Callable[..., Any]


async def ready(client: ExoscaleClient, ask: Ask, name: str, polling: Polling) -> Any:
    operation = await ask(client, name)
    await wait_for_operation(client, operation, polling=polling)
    return await wait_until_settled(client, operation.subject_id, polling=polling)


def created(zone: SimulatorProcess, name: str) -> int:
    names: list[str] = zone.state()["created"]
    return names.count(name)


@pytest.mark.parametrize("fault", ["rate-limited", "server-error", "reset-before"])
def test_reads_get_through(zone: SimulatorProcess, drive: Drive, ask: Ask, fault: str) -> None:
    before = zone.state()["faults"].get(fault, 0)

    async def use(client: ExoscaleClient) -> Any:
        operation = await ask(client, fault)
        return await client.get_deployment(operation.subject_id)

    assert drive(use).name == fault
    assert zone.state()["faults"][fault] - before == (3 if fault == "server-error" else 2)


def test_a_rate_limited_create_is_repeated_once(zone: SimulatorProcess, drive: Drive, ask: Ask) -> None:
    assert drive(lambda client: ask(client, "rate-limited-create")).state == "pending"
    assert created(zone, "rate-limited-create") == 1


@pytest.mark.parametrize(
    ("name", "kind", "happened"),
    [
        ("reset-before-create", NetworkError, False),
        ("reset-after-create", NetworkError, True),
        ("error-after-create", ApiError, True),
    ],
)
def test_an_ambiguous_create_is_sent_once_and_found_by_its_name_if_it_happened(
    zone: SimulatorProcess, drive: Drive, ask: Ask, name: str, kind: type[Exception], happened: bool
) -> None:
    async def use(client: ExoscaleClient) -> Any:
        with pytest.raises(kind) as caught:
            await ask(client, name)
        assert is_ambiguous(caught.value)
        return await find_deployment(client, name)

    found = drive(use)
    assert (found is not None) is happened
    assert created(zone, name) == int(happened)


def test_a_reset_delete_is_confirmed_by_404(
    zone: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling
) -> None:
    async def use(client: ExoscaleClient) -> None:
        deployment = await ready(client, ask, "reset-after-delete", polling)
        await delete_until_gone(client, deployment.id, polling=polling)
        with pytest.raises(NotFoundError):
            await client.get_deployment(deployment.id)

    drive(use)
    assert zone.state()["deleted"].count("reset-after-delete") == 1


def test_a_revoked_key_and_a_skewed_clock_are_told_apart(drive: Drive, ask: Ask) -> None:
    async def use(client: ExoscaleClient) -> list[str]:
        messages = []
        for name in ("forbidden", "clock-skew"):
            operation = await ask(client, name)
            with pytest.raises(ForbiddenError) as caught:
                await client.get_deployment(operation.subject_id)
            messages.append(str(caught.value))
        return messages

    revoked, skewed = drive(use)
    assert "The API key has been revoked" in revoked
    assert "clock" not in revoked
    assert re.search(r"this machine's clock is 1[45]m \d\ds behind the server's", skewed)


def test_a_slow_answer_is_waited_for(drive: Drive, ask: Ask) -> None:
    async def use(client: ExoscaleClient) -> float:
        operation = await ask(client, "slow-answer")
        started = time.monotonic()
        await client.get_deployment(operation.subject_id)
        return time.monotonic() - started

    assert drive(use) > 0.25


@pytest.mark.parametrize("name", ["busy-delete", "failed-delete", "stuck-delete"])
def test_a_delete_that_fails_at_first_succeeds_in_the_end(
    zone: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling, name: str
) -> None:
    async def use(client: ExoscaleClient) -> None:
        deployment = await ready(client, ask, name, polling)
        await delete_until_gone(client, deployment.id, polling=polling)

    drive(use)
    assert zone.state()["deleted"].count(name) == 1


@pytest.mark.parametrize(
    ("name", "changes"), [("no-capacity", {}), ("any", {"gpu_type": "gpu3080ti"})], ids=["name", "family"]
)
def test_capacity_gone_is_a_capacity_error_and_creates_nothing(
    zone: SimulatorProcess, drive: Drive, ask: Ask, name: str, changes: dict[str, str]
) -> None:
    with pytest.raises(CapacityError, match=r"Not enough gpu3.* GPUs available"):
        drive(lambda client: ask(client, name, **changes))
    assert created(zone, name) == 0


def test_a_missing_reference_is_made_up_for_by_the_name(drive: Drive, ask: Ask, polling: Polling) -> None:
    async def use(client: ExoscaleClient) -> tuple[Any, Any]:
        operation = await ask(client, "no-reference")
        identity = await created_deployment_id(client, operation, name="no-reference", polling=polling)
        return operation, await client.get_deployment(identity)

    operation, deployment = drive(use)
    assert operation.reference is None
    assert deployment.name == "no-reference"


def test_an_operation_unknown_at_first_is_found_later(drive: Drive, ask: Ask, polling: Polling) -> None:
    async def use(client: ExoscaleClient) -> Any:
        operation = await ask(client, "operation-unknown")
        with pytest.raises(NotFoundError):
            await client.get_operation(operation.id)
        return await wait_for_operation(client, operation, polling=polling)

    assert drive(use).succeeded


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("operation-stuck", "ended in timeout: unknown"),
        ("operation-failed", "ended in failure: fault: no node"),
    ],
)
def test_an_operation_that_ends_badly_names_its_end_and_its_deployment_is_deletable(
    zone: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling, name: str, words: str
) -> None:
    async def use(client: ExoscaleClient) -> None:
        operation = await ask(client, name)
        with pytest.raises(OperationFailed, match=words):
            await wait_for_operation(client, operation, polling=polling)
        assert (await wait_until_settled(client, operation.subject_id, polling=polling)).state == "error"
        await delete_until_gone(client, operation.subject_id, polling=polling)

    drive(use)
    assert zone.state()["deleted"].count(name) == 1


def test_a_deployment_in_error_has_its_details_and_its_log(drive: Drive, ask: Ask, polling: Polling) -> None:
    async def use(client: ExoscaleClient) -> tuple[Any, Any]:
        failed = await ready(client, ask, "deployment-error", polling)
        return failed, await client.get_deployment_logs(failed.id)

    failed, logs = drive(use)
    assert failed.state == "error"
    assert failed.state_details == "CUDA out of memory. Tried to allocate 2 GiB."
    assert failed.state_details in [line.message for line in logs]


@pytest.mark.parametrize(
    ("name", "state"), [("stuck-creating", "creating"), ("stuck-deploying", "deploying")]
)
def test_a_stuck_deployment_ends_at_the_deadline_and_can_be_deleted(
    zone: SimulatorProcess, drive: Drive, ask: Ask, polling: Polling, name: str, state: str
) -> None:
    async def use(client: ExoscaleClient) -> None:
        operation = await ask(client, name)
        await wait_for_operation(client, operation, polling=polling)
        hasty = Polling(deadline_s=0.5, interval=polling.interval)
        with pytest.raises(StillPending, match=f"still '{state}' after"):
            await wait_until_settled(client, operation.subject_id, polling=hasty)
        await delete_until_gone(client, operation.subject_id, polling=polling)

    drive(use)
    assert zone.state()["deleted"].count(name) == 1


def test_an_unknown_state_is_waited_through(drive: Drive, ask: Ask, polling: Polling) -> None:
    seen: list[str] = []

    async def use(client: ExoscaleClient) -> Any:
        operation = await ask(client, "unknown-state")
        return await wait_until_settled(client, operation.subject_id, polling=polling, on_state=seen.append)

    assert drive(use).state == "ready"
    assert "rebalancing" in seen


def test_a_slow_start_takes_its_time(drive: Drive, ask: Ask, polling: Polling) -> None:
    """A start takes at least 75 zone seconds in the median: ten times that is 0.75 s at this scale."""

    async def use(client: ExoscaleClient) -> float:
        started = time.monotonic()
        assert (await ready(client, ask, "slow-start", polling)).state == "ready"
        return time.monotonic() - started

    assert drive(use) > 0.3


def test_a_late_key_is_404_at_first(drive: Drive, ask: Ask, polling: Polling) -> None:
    async def use(client: ExoscaleClient) -> Any:
        deployment = await ready(client, ask, "key-late", polling)
        with pytest.raises(NotFoundError):
            await client.reveal_deployment_api_key(deployment.id)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                return await client.reveal_deployment_api_key(deployment.id)
            except NotFoundError:
                await polling.sleep(0.02)
        raise AssertionError("the key never came")

    assert drive(use).reveal()


def test_a_ready_deployment_may_answer_503_for_a_while(drive: Drive, ask: Ask, polling: Polling) -> None:
    async def use(client: ExoscaleClient) -> list[int]:
        deployment = await ready(client, ask, "url-unavailable", polling)
        key = await client.reveal_deployment_api_key(deployment.id)
        headers = {"authorization": f"Bearer {key.reveal()}"}
        statuses: list[int] = []
        deadline = time.monotonic() + 10
        async with httpx.AsyncClient() as http:
            while 200 not in statuses and time.monotonic() < deadline:
                answer = await http.get(f"{deployment.deployment_url}/models", headers=headers)
                statuses.append(answer.status_code)
                await polling.sleep(0.02)
        return statuses

    statuses = drive(use)
    assert statuses[0] == 503
    assert statuses[-1] == 200


def test_dropped_parameters_show_in_the_get_answer(drive: Drive, ask: Ask, polling: Polling) -> None:
    deployment = drive(lambda client: ready(client, ask, "parameters-dropped", polling))
    assert deployment.inference_engine_parameters == ()


def test_the_foreign_deployment_is_still_there(zone: SimulatorProcess, drive: Drive) -> None:
    assert drive(lambda client: find_deployment(client, "somebody-elses")) is not None
    assert [entry["name"] for entry in zone.state()["foreign"]] == ["somebody-elses"]
