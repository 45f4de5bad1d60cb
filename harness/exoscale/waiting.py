"""Waiting for what the API does in its own time. Every wait has a deadline; clock and sleep are injected.

While something costs money, a lost network or a failing API ends no wait before its deadline: only a clear
refusal does. Unknown states are waited through.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import (
    ApiError,
    ConflictError,
    NetworkError,
    NotFoundError,
    OperationFailed,
    PlatformError,
    RateLimitedError,
)
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import Clock, Sleep, is_ambiguous
from harness.exoscale.wire import Deployment, Model, Operation
from harness.units import format_duration


def poll_interval_s(elapsed_s: float) -> float:
    """Pause between polls: 3 s in the first half minute, then growing evenly to 60 s at 15 minutes."""
    if elapsed_s < 30.0:
        return 3.0
    return min(60.0, 3.0 + (elapsed_s - 30.0) * 57.0 / 870.0)


@dataclass(frozen=True, slots=True)
class Polling:
    """How long to wait and how often to look. ``interval`` maps elapsed seconds to the next pause.

    For ``fresh_s`` a 404 means that the API does not know yet what it has just begun.
    """

    deadline_s: float
    fresh_s: float = 30.0
    interval: Callable[[float], float] = poll_interval_s
    clock: Clock = time.monotonic
    sleep: Sleep = asyncio.sleep


class StillPending(OperationFailed):
    """The deadline passed before the change was done; it may still happen."""


class _Wait:
    """One wait under way."""

    def __init__(self, polling: Polling, what: str) -> None:
        self._polling = polling
        self._what = what
        self._started = polling.clock()
        self.last_error: PlatformError | None = None

    @property
    def elapsed_s(self) -> float:
        return self._polling.clock() - self._started

    @property
    def is_fresh(self) -> bool:
        return self.elapsed_s <= self._polling.fresh_s

    async def pause(self, seen: str) -> None:
        """Sleeps until the next look; StillPending when the deadline leaves no time for one."""
        left = self._polling.deadline_s - self.elapsed_s
        if left <= 0:
            because = f" ({self.last_error})" if self.last_error else ""
            waited = format_duration(self._polling.deadline_s)
            raise StillPending(f"{self._what} still {seen} after {waited}{because}")
        await self._polling.sleep(min(left, self._polling.interval(self.elapsed_s)))

    def tolerate(self, error: PlatformError) -> None:
        """Remembers an error that time may heal; raises any other."""
        if not (is_ambiguous(error) or isinstance(error, (NetworkError, RateLimitedError))):
            raise error
        self.last_error = error


async def wait_for_operation(client: ExoscaleClient, operation: Operation, *, polling: Polling) -> Operation:
    """The operation once it succeeded.

    OperationFailed with its reason and message when it failed, StillPending at the deadline. An id the server does
    not know yet is looked up again while it is fresh.
    """
    what = f"operation {operation.id!r}"
    wait = _Wait(polling, what)
    while not operation.succeeded:
        if operation.failed:
            because = ": ".join(part for part in (operation.reason, operation.message) if part)
            raise OperationFailed(f"{what} ended in {operation.state}: {because or 'no reason given'}")
        if operation.id is None:
            raise OperationFailed("the API started an operation without telling its id")
        await wait.pause(repr(operation.state))
        try:
            operation = await client.get_operation(operation.id)
        except NotFoundError:
            if not wait.is_fresh:
                raise
        except PlatformError as error:
            wait.tolerate(error)
    return operation


async def find_deployment(client: ExoscaleClient, name: str) -> Deployment | None:
    """The one private deployment of exactly this name, as listed; None when there is none.

    PlatformError when there are several: names are not unique on the server, ours are.
    """
    found = [
        deployment
        for deployment in await client.list_deployments()
        if deployment.name == name and deployment.id and not deployment.is_public
    ]
    if len(found) > 1:
        ids = ", ".join(str(deployment.id) for deployment in found)
        raise PlatformError(f"{len(found)} deployments are named {name!r}: {ids}")
    return found[0] if found else None


async def created_deployment_id(
    client: ExoscaleClient, operation: Operation, *, name: str, polling: Polling
) -> str:
    """The id of the deployment an operation creates: its reference, or the deployment of that name.

    Never ApiError: the create was accepted, so a refused lookup (PlatformError) leaves a deployment that exists.
    """
    if operation.subject_id:
        return operation.subject_id
    wait = _Wait(polling, f"deployment {name!r}")
    while True:
        try:
            found = await find_deployment(client, name)
        except PlatformError as error:
            found = None
            try:
                wait.tolerate(error)
            except ApiError as refusal:
                raise PlatformError(f"deployment {name!r} was begun but not found: {refusal}") from refusal
        if found is not None and found.id is not None:
            return found.id
        await wait.pause("unlisted")


async def wait_until_settled(
    client: ExoscaleClient,
    deployment_id: str,
    *,
    polling: Polling,
    on_state: Callable[[str], None] | None = None,
) -> Deployment:
    """The deployment once it is ``ready`` or ``error``; ``on_state`` is told each new state, known or not.

    NotFoundError when there is no such deployment and it is not fresh.
    """
    wait = _Wait(polling, f"deployment {deployment_id!r}")
    state: str | None = None
    while True:
        try:
            deployment = await client.get_deployment(deployment_id)
        except NotFoundError:
            if not wait.is_fresh:
                raise
        except PlatformError as error:
            wait.tolerate(error)
        else:
            if deployment.state != state and deployment.state is not None and on_state is not None:
                on_state(deployment.state)
            state = deployment.state
            if deployment.is_settled:
                return deployment
        await wait.pause(repr(state))


async def wait_for_model(client: ExoscaleClient, model_id: str, *, polling: Polling) -> Model:
    """The model once it is ``ready`` or ``error``."""
    wait = _Wait(polling, f"model {model_id!r}")
    state: str | None = None
    while True:
        try:
            model = await client.get_model(model_id)
        except PlatformError as error:
            wait.tolerate(error)
        else:
            state = model.state
            if model.is_settled:
                return model
        await wait.pause(repr(state))


async def delete_until_gone(client: ExoscaleClient, deployment_id: str, *, polling: Polling) -> None:
    """Deletes a deployment, as often as it takes, until the API answers 404 for it.

    409 (busy), 5xx, network errors and failed operations are met with another try until the deadline, then
    StillPending; a refusal that time does not heal (403) is raised at once.
    """
    wait = _Wait(polling, f"deployment {deployment_id!r}")
    while True:
        try:
            operation = await client.delete_deployment(deployment_id)
            await _until_gone_or_failed(client, deployment_id, operation, wait=wait)
            return
        except NotFoundError:
            return
        except ConflictError as error:
            wait.last_error = error
        except StillPending:
            raise
        except OperationFailed as error:
            wait.last_error = error
        except PlatformError as error:
            wait.tolerate(error)
        await wait.pause("not deleted")


async def _until_gone_or_failed(
    client: ExoscaleClient, deployment_id: str, operation: Operation, *, wait: _Wait
) -> None:
    """Returns at the deployment's 404; OperationFailed when the delete itself failed."""
    while True:
        try:
            seen = repr((await client.get_deployment(deployment_id)).state)
            if operation.id is not None:
                operation = await client.get_operation(operation.id)
        except NotFoundError as error:
            if error.operation == "get-deployment":
                return
        except PlatformError as error:
            wait.tolerate(error)
            seen = "unconfirmed"
        if operation.failed:
            raise OperationFailed(f"operation {operation.id!r} ended in {operation.state}")
        await wait.pause(seen)
