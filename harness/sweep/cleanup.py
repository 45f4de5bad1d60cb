"""Delete what our journals say is ours and may still be alive, and nothing else; prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, NetworkError
from harness.results.journal import Event, Journal, read_events
from harness.sweep.deployers import Deployer
from harness.sweep.lifecycle import Lifecycle, Patience
from harness.sweep.states import Ledger, leftovers, replay, unproven

CloudFor = Callable[[Path, Mapping[str, Any]], AbstractAsyncContextManager[tuple[Deployer, Patience]]]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """One folder's clean-up: what was deleted, what remains and why.

    ``unfound`` are names of creates without an answer that are not there: not yet, or never.
    """

    folder: Path
    deleted: tuple[Ledger, ...]
    remaining: tuple[tuple[Ledger, str], ...]
    unfound: tuple[str, ...] = ()


def first_start(events: Iterable[Event]) -> dict[str, Any]:
    """What the journal says of the cloud it was written against, and under ``keys`` whose keys were used."""
    starts = [event.data for event in events if event.kind == "sweep-started"]
    keys = sorted({str(start["key"]) for start in starts if start.get("key")})
    return {**starts[0], "keys": keys} if starts else {}


def _clock_of(events: Sequence[Event]) -> Callable[[], float] | None:
    """An embedded cloud ended with its sweep: what is found gone has been since the last event, in its own time.

    None for any other, which is this machine's clock.
    """
    if not first_start(events).get("embedded"):
        return None
    last_unix = max(event.at_unix for event in events)
    return lambda: last_unix


async def clean_folder(folder: Path, cloud_for: CloudFor) -> Cleaned:
    """Tear down every run of one folder's journal that may still cost. JournalBusy while its sweep is running."""
    path = folder / "journal.sqlite"
    with Journal.open(path, clock=_clock_of(read_events(path))) as journal:
        events = journal.events()
        ledgers = replay(events)
        alive = leftovers(ledgers.values())
        if not alive and not unproven(events):
            return Cleaned(folder, (), ())
        started = first_start(events)
        async with cloud_for(folder, started) as (deployer, patience):
            lifecycle = Lifecycle(deployer, journal, ledgers=ledgers, patience=patience)
            embedded = bool(started.get("embedded"))
            remaining = [
                (ledger, trouble)
                for ledger in alive
                if (trouble := await _end(lifecycle, ledger.run_id, embedded=embedded))
            ]
            late, more = await _look_again(lifecycle, unproven(events).values(), embedded=embedded)
        unfound = () if embedded else tuple(unproven(journal.events()))
    told = {ledger.run_id for ledger, _ in remaining}
    remaining += [(ledger, trouble) for ledger, trouble in more if ledger.run_id not in told]
    kept = {ledger.run_id for ledger, _ in remaining}
    ended = tuple(ledger for ledger in (*alive, *late) if ledger.run_id not in kept)
    return Cleaned(folder, ended, tuple(remaining), unfound)


async def _look_again(
    lifecycle: Lifecycle, doubtful: Iterable[str], *, embedded: bool
) -> tuple[list[Ledger], list[tuple[Ledger, str]]]:
    """What was created late and is gone now, and what is not; nothing of an embedded cloud, which ended."""
    try:
        return [lifecycle.ledger(run_id) for run_id in await lifecycle.look_again()], []
    except HarnessError as error:
        if embedded and isinstance(error, NetworkError):
            return [], []
        return [], [(lifecycle.ledger(run_id), str(error)) for run_id in doubtful]


async def _end(lifecycle: Lifecycle, run_id: str, *, embedded: bool) -> str | None:
    """Why the run's deployment remains, or None once it is gone. An embedded cloud ended with its sweep."""
    try:
        await lifecycle.tear_down(run_id)
    except NetworkError as error:
        if embedded:
            lifecycle.record(run_id, "deleted", embedded_cloud_ended=True)
            return None
        return str(error)
    except HarnessError as error:
        return str(error)
    return None


def run_folders(root: Path) -> Iterable[Path]:
    """Every folder under ``root`` (or ``root`` itself) that holds a journal."""
    if (root / "journal.sqlite").is_file():
        return [root]
    return sorted(path.parent for path in root.glob("*/journal.sqlite"))
