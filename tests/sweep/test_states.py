"""The state table: from any state, in any order of events and crashes, what was created is deleted exactly once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from harness.sweep.states import Action, Ledger, Life, Result, apply, leftovers, next_action, replay


@dataclass(frozen=True)
class Event:
    kind: str
    run_id: str | None = "run"
    data: dict[str, Any] = field(default_factory=dict)


def ledger_after(*events: Event) -> Ledger:
    return replay(events).get("run", Ledger("run"))


INTENT = Event("create-intended", data={"name": "harness-1"})
CREATED = Event("created", data={"deployment_id": "d-1"})


def test_an_intent_without_an_answer_asks_for_a_lookup() -> None:
    ledger = ledger_after(INTENT)
    assert ledger.life is Life.INTENDED
    assert ledger.name == "harness-1"
    assert next_action(ledger) is Action.FIND
    assert next_action(ledger, stopping=True) is Action.FIND
    assert ledger.may_cost


def test_a_created_deployment_of_a_failed_run_is_deleted() -> None:
    ledger = ledger_after(
        INTENT, CREATED, Event("failed", data={"cause": "out-of-memory", "detail": "no room"})
    )
    assert next_action(ledger) is Action.DELETE
    assert (ledger.cause, ledger.detail) == ("out-of-memory", "no room")


def test_a_created_deployment_is_deleted_when_stopping_though_the_run_is_pending() -> None:
    ledger = ledger_after(INTENT, CREATED)
    assert next_action(ledger) is Action.PROVISION
    assert next_action(ledger, stopping=True) is Action.DELETE


def test_a_sent_deletion_waits_for_its_proof_and_a_refused_one_is_sent_again() -> None:
    sent = ledger_after(INTENT, CREATED, Event("delete-sent"))
    assert next_action(sent, stopping=True) is Action.CONFIRM
    assert next_action(apply(sent, Event("delete-refused")), stopping=True) is Action.DELETE


def test_a_measured_run_stays_measured_when_its_tear_down_fails() -> None:
    ledger = ledger_after(INTENT, CREATED, Event("measured"), Event("failed", data={"cause": "x"}))
    assert ledger.result is Result.MEASURED


def test_a_gone_deployment_cannot_come_back_without_a_new_intent() -> None:
    ledger = ledger_after(INTENT, CREATED, Event("delete-sent"), Event("deleted"), CREATED)
    assert ledger.life is Life.GONE
    again = apply(ledger, Event("create-intended", data={"name": "harness-2"}))
    assert (again.life, again.name, again.deployment_id) == (Life.INTENDED, "harness-2", None)


def test_points_on_disk_are_kept_through_a_retry() -> None:
    ledger = ledger_after(
        INTENT, CREATED, Event("point-finished", data={"point": 0}), Event("failed"), Event("retried")
    )
    assert ledger.points == {0}
    assert ledger.result is Result.PENDING


def test_an_invalidated_run_is_measured_anew_from_its_first_point() -> None:
    ledger = ledger_after(
        INTENT, CREATED, Event("point-finished", data={"point": 0}), Event("measured"), Event("invalidated")
    )
    assert (ledger.result, ledger.points) == (Result.PENDING, frozenset())


def test_a_deployment_goes_from_run_to_run_without_being_nobodys() -> None:
    handed = {"name": "harness-1", "deployment_id": "d-1"}
    events = [INTENT, CREATED, Event("measured"), Event("adopted", "next", handed)]
    both = replay(events)
    assert [both["run"].may_cost, both["next"].may_cost] == [True, True]
    after = replay([*events, Event("handed-over")])
    assert [after["run"].may_cost, after["next"].deployment_id] == [False, "d-1"]


def test_leftovers_are_intended_alive_or_deleting() -> None:
    runs = [
        Ledger("a", life=Life.INTENDED),
        Ledger("b", life=Life.GONE),
        Ledger("c", life=Life.ALIVE),
        Ledger("d", life=Life.DELETING),
        Ledger("e"),
    ]
    assert [ledger.run_id for ledger in leftovers(runs)] == ["a", "c", "d"]


class Platform(RuleBasedStateMachine):
    """A platform that may lose answers, and a runner that may die between any two journal writes.

    The machine's own bookkeeping of what exists is the truth; the ledger sees only the journal.
    """

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[Event] = []
        self.exists: set[str] = set()
        self.deleted: list[str] = []
        self.created: list[str] = []
        self.stopping = False

    @property
    def ledger(self) -> Ledger:
        return ledger_after(*self.journal)

    def write(self, kind: str, **data: Any) -> None:
        self.journal.append(Event(kind, data=data))

    @rule()
    def the_user_stops(self) -> None:
        self.stopping = True

    @rule()
    def a_new_session_resumes(self) -> None:
        self.stopping = False

    @rule(
        kind=st.sampled_from(
            ["failed", "measured", "skipped", "ready", "retried", "provisioning", "unheard-of"]
        )
    )
    def something_is_noted(self, kind: str) -> None:
        self.write(kind, cause="x", reason="x")

    @rule(
        reaches=st.booleans(),
        journaled=st.booleans(),
        crash_before_call=st.booleans(),
    )
    def the_runner_acts(self, reaches: bool, journaled: bool, crash_before_call: bool) -> None:
        """One action; the call may reach the platform or not, its answer may be journaled or lost."""
        action = next_action(self.ledger, stopping=self.stopping)
        if action is Action.CREATE:
            self.create(reaches=reaches and not crash_before_call, journaled=journaled)
        elif action is Action.FIND:
            found = self.ledger.name in self.exists
            if journaled:
                self.write("created", deployment_id=self.ledger.name) if found else self.write("deleted")
        elif action is Action.DELETE:
            self.delete(reaches=reaches, journaled=journaled)
        elif action is Action.CONFIRM and journaled:
            self.write("deleted" if self.ledger.deployment_id not in self.exists else "delete-refused")

    def create(self, *, reaches: bool, journaled: bool) -> None:
        name = f"deployment-{len(self.journal)}"
        self.write("create-intended", name=name)
        if reaches:
            self.exists.add(name)
            self.created.append(name)
            if journaled:
                self.write("created", deployment_id=name)

    def delete(self, *, reaches: bool, journaled: bool) -> None:
        identity = self.ledger.deployment_id
        assert identity is not None
        self.write("delete-intended")
        if reaches and identity in self.exists:
            self.exists.remove(identity)
            self.deleted.append(identity)
        if journaled:
            self.write("delete-sent")

    @invariant()
    def what_exists_is_known_to_the_journal(self) -> None:
        assert len(self.exists) <= 1
        for name in self.exists:
            assert self.ledger.may_cost
            assert name in (self.ledger.name, self.ledger.deployment_id)

    @invariant()
    def nothing_is_deleted_twice(self) -> None:
        assert len(self.deleted) == len(set(self.deleted))

    @precondition(lambda self: self.journal)
    @rule()
    def left_alone_it_cleans_up(self) -> None:
        """From here, with a platform that answers, a stopping runner ends with nothing left."""
        for _ in range(6):
            action = next_action(self.ledger, stopping=True)
            if action is Action.FIND:
                found = self.ledger.name in self.exists
                self.write("created", deployment_id=self.ledger.name) if found else self.write("deleted")
            elif action is Action.DELETE:
                self.delete(reaches=True, journaled=True)
            elif action is Action.CONFIRM:
                self.write("deleted" if self.ledger.deployment_id not in self.exists else "delete-refused")
            else:
                break
        assert not self.exists
        assert not self.ledger.may_cost
        assert sorted(self.created) == sorted(self.deleted)


Platform.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_created_is_deleted_exactly_once = Platform.TestCase
