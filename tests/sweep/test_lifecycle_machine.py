"""The real life cycle on a platform that fails in every way, with a process that dies at any entry of its journal.

From any state, in any order of calls, failures, crashes and restarts: what exists is on record, what is not ours stays,
and in the end everything created was deleted, once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from harness.errors import ApiError, CapacityError, ConflictError, HarnessError, NetworkError, NotFoundError
from harness.load.records import Endpoint
from harness.plan.cells import Cell
from harness.sweep.deployers import Ready, Run, StateCallback
from harness.sweep.lifecycle import Lifecycle, Patience
from harness.sweep.states import Ledger, Life, leftovers, replay, unproven

PATIENCE = Patience(delete_s=60.0, find_s=10.0, resend_s=10.0, poll_s=1.0, retry_s=1.0)
RUNS = ("a-r0", "b-r0", "c-r0")
FOREIGN = {"id-foreign": "harness-somebody-elses"}

CREATES = ("well", "refused", "lost before", "lost after", "error after", "late")
DELETES = ("well", "busy", "error", "lost after", "nothing happens")
DYING = {"dies_at": st.none() | st.integers(0, 6), "is_written": st.booleans()}
LOOKS = ("well", "well", "well", "lost")


class Killed(BaseException):
    """The process is over at this very instruction."""


@dataclass(frozen=True)
class Event:
    kind: str
    run_id: str | None
    data: Mapping[str, Any]


@dataclass
class DyingJournal:
    """Entries that outlive the process; it dies before or after the ``dies_at``-th of a session."""

    kept: list[Event] = field(default_factory=list)
    dies_at: int | None = None
    is_written: bool = True
    count: int = 0

    def append(self, kind: str, *, run_id: str | None = None, data: Mapping[str, Any] | None = None) -> None:
        dies = self.dies_at is not None and self.count >= self.dies_at
        self.count += 1
        if not dies or self.is_written:
            self.kept.append(Event(kind, run_id, dict(data or {})))
        if dies:
            raise Killed

    def events(self) -> list[Event]:
        return list(self.kept)


@dataclass
class FailingPlatform:
    """What exists, by id. The next calls end as the lists say, and well when they are used up."""

    alive: dict[str, str] = field(default_factory=lambda: dict(FOREIGN))
    created: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    coming: list[tuple[str, str]] = field(default_factory=list)
    creates: list[str] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    kind = "failing"
    simulated = True

    def _begin(self, name: str, *, late: bool = False) -> str:
        identity = f"id-{len(self.created)}"
        self.created.append(identity)
        if late:
            self.coming.append((identity, name))
        else:
            self.alive[identity] = name
        return identity

    async def create(self, run: Run) -> str:
        how = self.creates.pop(0) if self.creates else "well"
        await asyncio.sleep(0)
        if how == "refused":
            raise CapacityError("create-deployment", status=412, detail="none")
        if how == "lost before":
            raise NetworkError("reset")
        identity = self._begin(run.name, late=how == "late")
        if how in ("lost after", "late"):
            raise NetworkError("reset")
        if how == "error after":
            raise ApiError("create-deployment", status=502, detail="bad gateway")
        return identity

    def _look(self) -> None:
        if self.looks and self.looks.pop(0) == "lost":
            raise NetworkError("no route")

    async def find(self, name: str) -> str | None:
        self._look()
        return next((identity for identity, held in self.alive.items() if held == name), None)

    async def wait_ready(self, run: Run, deployment_id: str, on_state: StateCallback) -> Ready:
        on_state("deploying")
        self._look()
        return Ready(Endpoint("http://127.0.0.1:1/v1", "m"), 1.0)

    async def move(self, run: Run, deployment_id: str) -> None:
        self._look()

    async def scale(self, deployment_id: str, *, replicas: int) -> None:
        self._look()

    async def check(self, run: Run, deployment_id: str) -> None:
        self._look()

    async def logs(self, deployment_id: str) -> Sequence[str]:
        return []

    async def delete(self, deployment_id: str) -> None:
        how = self.deletes.pop(0) if self.deletes else "well"
        if how == "busy":
            raise ConflictError("delete-deployment", status=409, detail="busy")
        if how == "error":
            raise ApiError("delete-deployment", status=500, detail="oops")
        if deployment_id not in self.alive:
            raise NotFoundError("delete-deployment", status=404, detail="gone")
        if how != "nothing happens":
            del self.alive[deployment_id]
            self.deleted.append(deployment_id)
        if how == "lost after":
            raise NetworkError("reset")

    async def is_gone(self, deployment_id: str) -> bool:
        self._look()
        return deployment_id not in self.alive

    def come_about(self) -> None:
        """What was created late is there now."""
        self.alive.update(self.coming)
        self.coming.clear()


class Machine(RuleBasedStateMachine):
    """The platform's own books are the truth; a session knows what its journal told it and what it saw since."""

    def __init__(self, impatiently: Callable[..., Any]) -> None:
        super().__init__()
        self.impatiently = impatiently
        self.platform = FailingPlatform()
        self.journal = DyingJournal()
        self.names = 0
        self.session: Lifecycle
        self.begin_session()

    def begin_session(self) -> None:
        self.journal.dies_at = None
        known = replay(self.journal.events())
        self.session = Lifecycle(self.platform, self.journal, ledgers=known, patience=PATIENCE)  # type: ignore[arg-type]

    def perform(self, work: Callable[[Lifecycle], Any], *, dies_at: int | None, is_written: bool) -> None:
        """One thing a session does; it may be refused, and it may be the last thing it does."""
        self.journal.count, self.journal.dies_at, self.journal.is_written = 0, dies_at, is_written

        async def carry() -> None:
            with contextlib.suppress(HarnessError):
                await work(self.session)

        try:
            self.impatiently(carry())
        except Killed:
            self.begin_session()
        self.journal.dies_at = None

    @rule(
        run=st.sampled_from(RUNS),
        creates=st.lists(st.sampled_from(CREATES), max_size=1),
        looks=st.lists(st.sampled_from(LOOKS), max_size=3),
        **DYING,
    )
    def a_run_is_provisioned(
        self, run: str, creates: list[str], looks: list[str], dies_at: int | None, is_written: bool
    ) -> None:
        self.platform.creates, self.platform.looks = list(creates), list(looks)
        self.names += 1
        named = Run(_cell_of(run), 0, f"harness-{self.names}")
        if self.session.ledger(named.id).life in (Life.ABSENT, Life.GONE):
            self.perform(lambda session: session.provision(named), dies_at=dies_at, is_written=is_written)

    @rule(
        run=st.sampled_from(RUNS),
        deletes=st.lists(st.sampled_from(DELETES), max_size=4),
        looks=st.lists(st.sampled_from(LOOKS), max_size=3),
        **DYING,
    )
    def a_run_is_torn_down(
        self, run: str, deletes: list[str], looks: list[str], dies_at: int | None, is_written: bool
    ) -> None:
        self.platform.deletes, self.platform.looks = list(deletes), list(looks)
        run_id = f"{_cell_of(run).id}-r0"
        self.perform(lambda session: session.tear_down(run_id), dies_at=dies_at, is_written=is_written)

    @rule(
        owner=st.sampled_from(RUNS),
        taker=st.sampled_from(RUNS),
        looks=st.lists(st.sampled_from(LOOKS), max_size=2),
        **DYING,
    )
    def a_deployment_is_handed_on(
        self, owner: str, taker: str, looks: list[str], dies_at: int | None, is_written: bool
    ) -> None:
        self.platform.looks = list(looks)
        owner_id, run = f"{_cell_of(owner).id}-r0", Run(_cell_of(taker), 0, "unused")
        can = self.session.ledger(owner_id).life is Life.ALIVE
        if owner != taker and can and not self.session.ledger(run.id).may_cost:
            self.perform(lambda session: session.move(owner_id, run), dies_at=dies_at, is_written=is_written)

    @rule(run=st.sampled_from(RUNS), **DYING)
    def a_deployment_is_scaled_to_zero(self, run: str, dies_at: int | None, is_written: bool) -> None:
        run_id = f"{_cell_of(run).id}-r0"
        if self.session.ledger(run_id).life is Life.ALIVE:
            self.perform(lambda session: session.pause(run_id), dies_at=dies_at, is_written=is_written)

    @rule(
        kind=st.sampled_from(["failed", "measured", "skipped", "retried", "invalidated"]),
        run=st.sampled_from(RUNS),
    )
    def something_is_noted(self, kind: str, run: str) -> None:
        self.session.note(f"{_cell_of(run).id}-r0", kind, cause="x", reason="x")

    @rule(looks=st.lists(st.sampled_from(LOOKS), max_size=2), **DYING)
    def late_ones_are_looked_for(self, looks: list[str], dies_at: int | None, is_written: bool) -> None:
        self.platform.looks = list(looks)
        self.perform(lambda session: session.look_again(), dies_at=dies_at, is_written=is_written)

    @rule()
    def late_ones_come_about(self) -> None:
        self.platform.come_about()

    @rule()
    def the_process_is_killed(self) -> None:
        self.begin_session()

    @rule(run=st.sampled_from(RUNS))
    def somebody_else_deletes_one_of_ours(self, run: str) -> None:
        identity = self.session.ledger(f"{_cell_of(run).id}-r0").deployment_id
        if identity is not None and self.platform.alive.pop(identity, None) is not None:
            self.platform.deleted.append(identity)

    @invariant()
    def what_exists_is_on_record(self) -> None:
        ledgers = [ledger for ledger in replay(self.journal.events()).values() if ledger.may_cost]
        known = {ledger.deployment_id for ledger in ledgers} | {ledger.name for ledger in ledgers}
        known |= set(unproven(self.journal.events()))
        for identity, name in [*self.platform.alive.items(), *self.platform.coming]:
            assert identity in FOREIGN or identity in known or name in known, (identity, name)

    @invariant()
    def what_is_not_ours_stays(self) -> None:
        assert FOREIGN.items() <= self.platform.alive.items()

    @invariant()
    def nothing_is_deleted_twice(self) -> None:
        assert len(self.platform.deleted) == len(set(self.platform.deleted))

    def teardown(self) -> None:
        """A clean-up on a platform that is well again."""
        self.platform.creates, self.platform.deletes, self.platform.looks = [], [], []
        self.platform.come_about()
        self.begin_session()
        left: Sequence[Ledger] = leftovers(self.session.ledgers.values())

        async def clean_up() -> None:
            for ledger in left:
                await self.session.tear_down(ledger.run_id)
            for _ in range(len(RUNS) + 1):
                await self.session.look_again()

        self.impatiently(clean_up())
        assert self.platform.alive == FOREIGN
        assert sorted(self.platform.created) == sorted(self.platform.deleted)
        assert leftovers(self.session.ledgers.values()) == []


def _cell_of(run: str) -> Cell:
    return Cell("gpua5000", 1, 1, "0.15.1", "m", (f"--seed={RUNS.index(run)}",))


def test_whatever_happens_what_was_created_is_deleted_once(impatiently) -> None:
    run_state_machine_as_test(
        lambda: Machine(impatiently),
        settings=settings(max_examples=150, stateful_step_count=30, deadline=None),
    )
