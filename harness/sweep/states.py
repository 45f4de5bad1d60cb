"""What is known of a run from its journal, and what to do next. Pure: a table and two functions.

A run has two independent halves: the deployment (does something that costs money exist?) and the outcome (is
the run accounted for?). Events only ever move each half forward; the runner performs what ``next_action``
returns and writes an event for what happened. Replaying the journal after a crash gives the same ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol


class Life(StrEnum):
    """The deployment's half. ``INTENDED``: the create may or may not have reached the platform."""

    ABSENT = "absent"
    INTENDED = "intended"
    ALIVE = "alive"
    DELETING = "deleting"
    GONE = "gone"


class Result(StrEnum):
    """The outcome's half; everything but ``PENDING`` is settled."""

    PENDING = "pending"
    REFUSED = "refused"
    MEASURED = "measured"
    FAILED = "failed"
    SKIPPED = "skipped"


class Action(StrEnum):
    """What the runner does next for a run."""

    CREATE = "create"
    FIND = "find"
    PROVISION = "provision"
    DELETE = "delete"
    CONFIRM = "confirm"
    NOTHING = "nothing"


class JournalEvent(Protocol):
    """The part of a journal event that the ledger reads."""

    @property
    def kind(self) -> str: ...
    @property
    def run_id(self) -> str | None: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything the journal says of one run.

    ``name`` is the deployment's unique name, ``deployment_id`` its id once known, ``points`` the load levels
    whose records are on disk, ``cause`` and ``detail`` why it failed, was refused or skipped. ``paused``: the
    deployment has no replicas for the time being; it is alive all the same.
    """

    run_id: str
    life: Life = Life.ABSENT
    result: Result = Result.PENDING
    name: str | None = None
    deployment_id: str | None = None
    points: frozenset[int] = field(default_factory=frozenset)
    cause: str | None = None
    detail: str | None = None
    time_to_ready_s: float | None = None
    paused: bool = False

    @property
    def may_cost(self) -> bool:
        """True while something that is paid for may exist."""
        return self.life in (Life.INTENDED, Life.ALIVE, Life.DELETING)

    @property
    def settled(self) -> bool:
        """True when the run is accounted for and nothing of it may still cost."""
        return self.result is not Result.PENDING and not self.may_cost


# From which lives an event of this kind may move the deployment, and to where. Anything else leaves it.
LIFE_TABLE: Mapping[str, tuple[frozenset[Life], Life]] = {
    "create-intended": (frozenset({Life.ABSENT, Life.GONE}), Life.INTENDED),
    "created": (frozenset({Life.INTENDED}), Life.ALIVE),
    "delete-sent": (frozenset({Life.ALIVE}), Life.DELETING),
    "delete-refused": (frozenset({Life.DELETING}), Life.ALIVE),
    "deleted": (frozenset({Life.INTENDED, Life.ALIVE, Life.DELETING}), Life.GONE),
    # A deployment that goes from run to run is written down for its new owner first, then off the old one: a crash
    # between the two leaves it with both, and a second deletion of what is gone does no harm.
    "adopted": (frozenset({Life.ABSENT, Life.GONE}), Life.ALIVE),
    "handed-over": (frozenset({Life.ALIVE}), Life.GONE),
    # A create without an answer, not to be found, that came about all the same.
    "found-late": (frozenset({Life.GONE}), Life.ALIVE),
}

# Which event settles the outcome, and how. A measured run stays measured.
RESULT_TABLE: Mapping[str, Result] = {
    "cell-refused": Result.REFUSED,
    "measured": Result.MEASURED,
    "failed": Result.FAILED,
    "skipped": Result.SKIPPED,
    "retried": Result.PENDING,
}


def apply(ledger: Ledger, event: JournalEvent) -> Ledger:
    """The ledger after one event of its run; an event that does not fit the state changes nothing."""
    data = event.data
    allowed = LIFE_TABLE.get(event.kind)
    if allowed is not None and ledger.life in allowed[0]:
        ledger = replace(ledger, life=allowed[1])
        if event.kind == "create-intended":
            ledger = replace(ledger, name=data.get("name"), deployment_id=None, paused=False)
        elif event.kind == "created":
            ledger = replace(ledger, deployment_id=data.get("deployment_id"))
        elif event.kind in ("adopted", "found-late"):
            name, identity = data.get("name"), data.get("deployment_id")
            ledger = replace(ledger, name=name, deployment_id=identity, paused=bool(data.get("paused")))
    result = RESULT_TABLE.get(event.kind)
    if result is not None and ledger.result is not Result.MEASURED:
        cause = None if result in (Result.MEASURED, Result.PENDING) else data.get("cause", data.get("reason"))
        ledger = replace(ledger, result=result, cause=cause, detail=data.get("detail"))
    if event.kind == "invalidated":  # what it measured is not what is asked for now
        ledger = replace(ledger, result=Result.PENDING, points=frozenset(), cause=None, detail=None)
    if event.kind == "point-finished":
        ledger = replace(ledger, points=ledger.points | {int(data["point"])})
    if event.kind == "ready" and not data.get("resumed"):
        ledger = replace(ledger, time_to_ready_s=data.get("time_to_ready_s"))
    if event.kind in ("scale-intended", "scaled"):
        # Between the intent to give it replicas and the word that it has them, it counts as having them.
        ledger = replace(ledger, paused=event.kind == "scaled" and data.get("replicas") == 0)
    return ledger


def replay(events: Iterable[JournalEvent]) -> dict[str, Ledger]:
    """The ledgers of all runs a journal speaks of, by run id."""
    ledgers: dict[str, Ledger] = {}
    for event in events:
        if event.run_id is not None:
            before = ledgers.get(event.run_id) or Ledger(event.run_id)
            ledgers[event.run_id] = apply(before, event)
    return ledgers


def next_action(ledger: Ledger, *, stopping: bool = False) -> Action:
    """What to do next: delete what has no further use, look for what may exist, create what is wanted."""
    if ledger.life is Life.DELETING:
        return Action.CONFIRM
    if ledger.life is Life.INTENDED:
        return Action.FIND
    wanted = ledger.result is Result.PENDING and not stopping
    if ledger.life is Life.ALIVE:
        return Action.PROVISION if wanted else Action.DELETE
    return Action.CREATE if wanted else Action.NOTHING


def unproven(events: Iterable[JournalEvent]) -> dict[str, str]:
    """Names of deployments that are only not to be found after a create without an answer, and their run ids."""
    names: dict[str, str] = {}
    found: dict[str, str] = {}
    for event in events:
        if event.run_id is None:
            continue
        if event.kind in ("create-intended", "adopted", "found-late"):
            names[event.run_id] = str(event.data["name"])  # whose end a deletion now is
        name = names.get(event.run_id)
        if event.kind == "deleted" and name is not None:
            found.pop(name, None)
            if event.data.get("not_found"):
                found[name] = event.run_id
    return found


def leftovers(ledgers: Iterable[Ledger]) -> list[Ledger]:
    """The runs that may still cost money, in order of run id."""
    return sorted((ledger for ledger in ledgers if ledger.may_cost), key=lambda ledger: ledger.run_id)
