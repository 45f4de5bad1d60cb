"""A URL somebody else keeps as the endpoint of a cell: nothing is started and nothing is ended."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx

from harness.errors import EndpointError, InvalidError
from harness.load.probe import SIMULATED_HEADER
from harness.load.records import Endpoint
from harness.sweep.deployers import Ready, Run, StateCallback
from harness.sweep.readiness import COMPLETION_TIMEOUT_S, NotAnswering, complete_once

IDENTITY = "existing"


async def says_simulated(endpoint: Endpoint) -> bool:
    """True when the endpoint's model list says that it is simulated; one that does not answer says nothing."""
    headers = {} if endpoint.key is None else {"authorization": f"Bearer {endpoint.key.reveal()}"}
    async with httpx.AsyncClient(timeout=COMPLETION_TIMEOUT_S) as http:
        try:
            answer = await http.get(f"{endpoint.url}/models", headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
    return SIMULATED_HEADER in answer.headers


class ExistingEndpoint:
    """Serves every run with the same endpoint; what it runs is its keeper's word."""

    kind = "existing"

    def __init__(self, endpoint: Endpoint, *, simulated: bool = False) -> None:
        self._endpoint = endpoint
        self.simulated = simulated

    async def create(self, run: Run) -> str:
        """Nothing to create."""
        return IDENTITY

    async def find(self, name: str) -> str | None:
        """It was there before, under no name of ours."""
        return None

    async def wait_ready(self, run: Run, deployment_id: str, on_state: StateCallback) -> Ready:
        """One real completion, now; EndpointError when there is none."""
        started = time.monotonic()
        endpoint = Endpoint(self._endpoint.url, run.cell.model, self._endpoint.key, self._endpoint.ca_file)
        async with httpx.AsyncClient(timeout=COMPLETION_TIMEOUT_S) as http:
            try:
                await complete_once(http, endpoint)
            except NotAnswering as error:
                raise EndpointError(f"{endpoint.url}: {error}") from error
        on_state("ready")
        return Ready(endpoint, time.monotonic() - started)

    async def move(self, run: Run, deployment_id: str) -> None:
        """What is somebody else's is not changed."""
        raise InvalidError("move-endpoint", status=400, detail="an existing endpoint is not ours to change")

    async def scale(self, deployment_id: str, *, replicas: int) -> None:
        """Refused, as ``move`` is."""
        raise InvalidError("scale-endpoint", status=400, detail="an existing endpoint is not ours to change")

    async def check(self, run: Run, deployment_id: str) -> None:
        """What it runs is its keeper's word."""

    async def logs(self, deployment_id: str) -> Sequence[str]:
        """None to be had."""
        return []

    async def delete(self, deployment_id: str) -> None:
        """Nothing of ours to delete."""

    async def is_gone(self, deployment_id: str) -> bool:
        """True: nothing of ours remains."""
        return True
