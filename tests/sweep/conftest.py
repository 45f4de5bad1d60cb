"""A deployer over a platform held in memory, with faults by name: the runner's only counterpart in these tests."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import CapacityError, HarnessError, NetworkError, NotFoundError
from harness.load.records import Endpoint
from harness.plan.cells import Cell
from harness.results.journal import Journal
from harness.sweep.deployers import Ready, Run, StateCallback
from harness.sweep.lifecycle import Lifecycle, Patience


class ImpatientLoop(asyncio.SelectorEventLoop):
    """An event loop that does not wait: when nobody has anything to do, its clock jumps to the next timer."""

    _now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run_impatiently(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of ``work`` in a time of its own."""
    with asyncio.Runner(loop_factory=ImpatientLoop) as runner:
        return runner.run(work)


@pytest.fixture(scope="session")
def impatiently() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    return run_impatiently


class MemoryPlatform:
    """Deployments by id; ``faults[step]`` is a list of errors raised, one per call, before the call takes effect.

    ``lost_answers`` creates go through and then fail to answer. ``ready_s`` is how long one takes to be ready.
    """

    kind = "memory"
    simulated = True

    def __init__(self) -> None:
        self.alive: dict[str, str] = {}
        self.created: list[str] = []
        self.deleted: list[str] = []
        self.moved: list[tuple[str, Cell]] = []
        self.scaled: list[tuple[str, int]] = []
        self.faults: dict[str, list[HarnessError]] = defaultdict(list)
        self.lost_answers = 0
        self.ready_s = 0.0
        self.most_alive = 0
        self.reached = asyncio.Event()

    def _fault(self, step: str) -> None:
        if self.faults[step]:
            raise self.faults[step].pop(0)

    async def create(self, run: Run) -> str:
        self._fault("create")
        await asyncio.sleep(0)
        identity = f"id-{len(self.created)}"
        self.alive[identity] = run.name
        self.created.append(identity)
        self.most_alive = max(self.most_alive, len(self.alive))
        if self.lost_answers:
            self.lost_answers -= 1
            raise NetworkError("create-deployment: connection reset before an answer")
        return identity

    async def find(self, name: str) -> str | None:
        self._fault("find")
        return next((identity for identity, held in self.alive.items() if held == name), None)

    async def wait_ready(self, run: Run, deployment_id: str, on_state: StateCallback) -> Ready:
        on_state("deploying")
        self.reached.set()
        self._fault("ready")
        await asyncio.sleep(self.ready_s)
        return Ready(Endpoint("http://127.0.0.1:1/v1", run.cell.model), 1.5)

    async def move(self, run: Run, deployment_id: str) -> None:
        self._fault("move")
        self.moved.append((deployment_id, run.cell))

    async def scale(self, deployment_id: str, *, replicas: int) -> None:
        self._fault("scale")
        self.scaled.append((deployment_id, replicas))

    async def check(self, run: Run, deployment_id: str) -> None:
        self._fault("check")

    async def logs(self, deployment_id: str) -> Sequence[str]:
        return [f"log of {deployment_id}"]

    async def delete(self, deployment_id: str) -> None:
        self._fault("delete")
        if deployment_id not in self.alive:
            raise NotFoundError("delete-deployment", status=404, detail="gone")
        del self.alive[deployment_id]
        self.deleted.append(deployment_id)

    async def is_gone(self, deployment_id: str) -> bool:
        self._fault("gone")
        return deployment_id not in self.alive


@pytest.fixture
def platform() -> MemoryPlatform:
    return MemoryPlatform()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path / "journal.sqlite") as journal:
        yield journal


@pytest.fixture
def lifecycle(platform: MemoryPlatform, journal: Journal) -> Lifecycle:
    patience = Patience(delete_s=5.0, find_s=0.0, resend_s=0.05, poll_s=0.0, retry_s=0.0)
    return Lifecycle(platform, journal, patience=patience)


def make_runs(count: int, *, gpu_type: str = "gpua5000") -> list[Run]:
    cells = [Cell(gpu_type, 1, 1, "0.15.1", "m", (f"--seed={number}",)) for number in range(count)]
    return [Run(cell, 0, f"harness-{number}") for number, cell in enumerate(cells)]


@pytest.fixture
def runs() -> list[Run]:
    return make_runs(4)


@pytest.fixture
def no_capacity() -> CapacityError:
    return CapacityError("create-deployment", status=412, detail="not enough GPUs")
