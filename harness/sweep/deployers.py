"""How a cell gets an endpoint: the protocol the runner knows, and nothing of any cloud.

Three implementations exist: ``exoscale_deployer`` (the cloud or the simulator), ``local_deployer`` (a real
``vllm serve`` here) and ``existing`` (a URL somebody else keeps).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.load.records import Endpoint
from harness.plan.cells import Cell

StateCallback = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Run:
    """A cell's n-th repeat. ``name`` is unique to this attempt, so that a lost create can be found again."""

    cell: Cell
    repeat: int
    name: str

    @property
    def id(self) -> str:
        """``<cell id>-r<repeat>``: the same in every attempt and every resumed sweep."""
        return run_id(self.cell, self.repeat)


def run_id(cell: Cell, repeat: int) -> str:
    """The id of a cell's n-th repeat, counted from 0."""
    return f"{cell.id}-r{repeat}"


@dataclass(frozen=True, slots=True)
class Ready:
    """An endpoint that has answered one real completion.

    ``time_to_ready_s`` runs from the create call to that answer; ``facts`` is what the deployment says it runs.
    """

    endpoint: Endpoint
    time_to_ready_s: float
    facts: Mapping[str, Any] = field(default_factory=dict)


class Deployer(Protocol):
    """Makes, watches and removes one deployment per run. Every method may raise ``HarnessError``.

    ``create`` raises ``ApiError`` only when nothing was created; any other error leaves that open, and the
    runner asks ``find``. ``move`` turns a deployment of the same model and GPUs into this run's, or raises with the
    deployment in an unknown condition. ``scale`` changes how many replicas it has, 0 to keep it without its GPUs.
    ``check`` raises EngineStartError when it is not, or not any more, what the run asked for. ``delete`` sends the
    request and returns; ``is_gone`` is the proof.
    """

    @property
    def kind(self) -> str: ...
    @property
    def simulated(self) -> bool: ...
    async def create(self, run: Run) -> str: ...
    async def find(self, name: str) -> str | None: ...
    async def wait_ready(self, run: Run, deployment_id: str, on_state: StateCallback) -> Ready: ...
    async def move(self, run: Run, deployment_id: str) -> None: ...
    async def scale(self, deployment_id: str, *, replicas: int) -> None: ...
    async def check(self, run: Run, deployment_id: str) -> None: ...
    async def logs(self, deployment_id: str) -> Sequence[str]: ...
    async def delete(self, deployment_id: str) -> None: ...
    async def is_gone(self, deployment_id: str) -> bool: ...
