"""How a sweep ended: what became of its runs, and what of it may still be alive. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.errors import HarnessError, LeftRunningError
from harness.sweep.states import Ledger, Result


@dataclass(slots=True)
class SweepOutcome:
    """How a sweep ended: the ledgers by run id, what may still be alive, and what ended it early, if anything.

    ``unfound`` are the names of creates without an answer that were not to be found, however often looked for.
    """

    ledgers: Mapping[str, Ledger]
    left_running: Sequence[Ledger] = field(default_factory=tuple)
    interrupted_by: str | None = None
    ended_by: HarnessError | None = None
    unfound: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """0 all measured or refused as planned, 1 a run failed, 3 could not finish or something may be alive."""
        if self.left_running or self.interrupted_by or self.ended_by:
            return 3
        failed = any(ledger.result is Result.FAILED for ledger in self.ledgers.values())
        return 1 if failed else 0


def may_be_running(left: Sequence[Ledger]) -> str:
    """Every deployment that may still be alive, and what to do about it."""
    named = ", ".join(f"{ledger.name} ({ledger.deployment_id or 'id unknown'})" for ledger in left)
    return f"may still be running and cost money: {named}; run: harness cleanup"


def require_nothing_left(outcome: SweepOutcome) -> None:
    """Raise LeftRunningError naming every deployment that may still be alive."""
    if outcome.left_running:
        raise LeftRunningError(may_be_running(outcome.left_running))
