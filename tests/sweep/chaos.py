"""Seeded sweeps in failing zones, struck down at random and picked up again: nothing leaks, nothing is lost.

``python -m tests.sweep.chaos --sweeps 300`` prints its counts as one JSON line and ends with 1 when a deployment is
left, one of others is deleted, a finished point is lost or a run is not accounted for. What exists is the
simulators' word, what is finished the bytes on disk. Every round is a process forked from this one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import hashlib
import json
import os
import random
import signal
import ssl
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import certifi
import yaml

from harness.errors import HarnessError
from harness.exoscale.credentials import Credentials
from harness.plan.config import load_config
from harness.results.journal import Event, read_events
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options
from harness.sweep.conduct import plan_runs
from harness.sweep.preflight import preflight
from harness.sweep.states import Result, leftovers, replay
from tests.sweep.chaos_faults import Rule, cell_rules, zone_rules
from tests.sweep.chaos_round import Blow, Task, carry_out, clean_up

TIME_SCALE = 2000.0
ZONE_SWEEPS = 60
QUIET_ROUNDS = 25
LONGEST_ROUND_S = 60.0
INTERRUPTED = 130
DEFECT = 99
SETTLING = ("measured", "failed", "skipped", "cell-refused")


@dataclass
class Counts:
    """What is printed in the end; the second half of the numbers has to be 0."""

    sweeps: int = 0
    rounds: int = 0
    runs: int = 0
    measured: int = 0
    points_finished: int = 0
    deployments_created: int = 0
    deployments_left: int = 0
    deployments_unintended: int = 0
    foreign_deleted: int = 0
    points_lost: int = 0
    unaccounted: int = 0
    defects: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    blows: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """True when nothing leaked and nothing was lost."""
        return not (
            self.deployments_left
            or self.deployments_unintended
            or self.foreign_deleted
            or self.points_lost
            or self.unaccounted
            or self.defects
        )


@dataclass
class Sweep:
    """One sweep, what may still happen to it, and what has been seen of it so far."""

    number: int
    task: Task
    draw: random.Random
    wild_rounds: int
    round: int = 0
    cleans: bool = False
    finished: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    pid: int = 0
    started_at: float = 0.0
    kills: list[tuple[float, signal.Signals]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.task.folder

    def events(self) -> list[Event]:
        journal = self.folder / "journal.sqlite"
        return read_events(journal) if journal.exists() else []


def make_sweep(number: int, *, seed: int, folder: Path, credentials: Credentials) -> Sweep:
    """Two or three cells that can start and, now and then, one that cannot; one or two load levels."""
    draw = random.Random(f"{seed}:{number}")
    sets = {f"s{index}": [f"--seed={number * 10 + index}"] for index in range(draw.randint(2, 3))}
    if draw.random() < 0.25:
        sets["wrong"] = ["--max-model-length=1024"]
    document = {
        "name": "chaos",
        "model": "Qwen/Qwen3-4B",
        "engine-version": "0.15.1",
        "parameters": ["--max-model-len=2048"],
        "matrix": {"gpu-type": ["gpu3"], "gpu-count": [1], "parameters": sets},
        "workload": {"input-tokens": 64, "output-tokens": 8},
        "load": [{"concurrency": [1, 2][: draw.randint(1, 2)], "requests": 2, "warmup": "0s"}],
    }
    path = folder / f"{number}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    config = load_config(str(path))
    task = Task(config, preflight(config, managed=True), folder / f"out-{number}", credentials)
    return Sweep(number, task, draw, wild_rounds=draw.randint(1, 3))


def start(sweep: Sweep, counts: Counts) -> None:
    """Forks the next round. Wild rounds are struck; then it is resumed in peace, and cleaned up if that fails."""
    draw, is_wild = sweep.draw, sweep.round < sweep.wild_rounds
    if is_wild:
        sweep.cleans = sweep.round > 0 and draw.random() < 0.3
    blow = None
    sweep.kills = []
    if is_wild and draw.random() < 0.9:
        number = draw.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL])
        if sweep.cleans or draw.random() < 0.4:
            sweep.kills = [(draw.uniform(0.0, 0.4), number)]
        else:
            blow = Blow(number, draw.randint(0, 30), draw.choice([0.0, 0.0, 0.005, 0.03]))
            counts.blows[number.name] += 1
        if number is not signal.SIGKILL and draw.random() < 0.3:
            sweep.kills.append((draw.uniform(0.1, 0.8), number))
    sweep.round += 1
    sweep.exit_code = None
    sweep.started_at = time.monotonic()
    work = clean_up(sweep.task) if sweep.cleans else carry_out(sweep.task, blow)
    sweep.pid = os.fork()
    if not sweep.pid:
        live(sweep, work)
    work.close()


def live(sweep: Sweep, work: Coroutine[Any, Any, int]) -> None:
    """The child's whole life."""
    code = DEFECT
    try:
        code = asyncio.run(work)
    except HarnessError as error:
        code = error.exit_code
        note(sweep, f"{type(error).__name__}: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = INTERRUPTED
    except BaseException:  # noqa: BLE001  # a child's last words, whatever they are
        note(sweep, traceback.format_exc())
    finally:
        os._exit(code)


def note(sweep: Sweep, text: str) -> None:
    with sweep.folder.with_suffix(".txt").open("a", encoding="utf-8") as file:
        file.write(f"round {sweep.round}: {text}\n")


def ended(sweep: Sweep, counts: Counts) -> bool:
    """True once the present round is over; strikes what is due on the way."""
    age_s = time.monotonic() - sweep.started_at
    while sweep.kills and age_s >= sweep.kills[0][0]:
        _, number = sweep.kills.pop(0)
        counts.blows[number.name] += 1
        os.kill(sweep.pid, number)
    pid, status = os.waitpid(sweep.pid, os.WNOHANG)
    if pid == 0:
        if age_s < LONGEST_ROUND_S:
            return False
        note(sweep, "did not end")
        os.kill(sweep.pid, signal.SIGKILL)
        os.waitpid(sweep.pid, 0)
        counts.defects += 1
        return True
    if os.WIFEXITED(status):
        sweep.exit_code = os.WEXITSTATUS(status)
        counts.defects += sweep.exit_code not in (0, 1, 3, INTERRUPTED)
    return True


def look(sweep: Sweep, counts: Counts) -> bool:
    """Holds the folder against what was known before; True when the sweep is done with."""
    events = sweep.events()
    present = {
        str(event.data["file"]): digest(sweep.folder / str(event.data["file"]))
        for event in events
        if event.kind == "point-finished"
    }
    lost = [file for file, known in sweep.finished.items() if present.get(file) != known]
    lost += [file for file, found in present.items() if found is None]
    for file in lost:
        note(sweep, f"lost {file}")
    counts.points_lost += len(lost)
    sweep.finished |= {file: found for file, found in present.items() if found is not None}
    is_over = sweep.exit_code in (0, 1) and not sweep.cleans
    if sweep.round < sweep.wild_rounds:
        return False
    if not is_over and sweep.round < sweep.wild_rounds + QUIET_ROUNDS:
        sweep.cleans = bool(leftovers(replay(events).values())) and not sweep.cleans
        return False
    account(sweep, events, counts)
    return True


def digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def account(sweep: Sweep, events: list[Event], counts: Counts) -> None:
    """Every run the file asks for has exactly one outcome, and a reason where it was not measured."""
    ledgers = replay(events)
    plan = sweep.task.plan
    cells = [*plan.accepted, *(refusal.cell for refusal in plan.refused)]
    counts.sweeps += 1
    counts.rounds += sweep.round
    counts.points_finished += len(sweep.finished)
    for run in plan_runs(cells, 1, token=""):
        counts.runs += 1
        ledger = ledgers.get(run.id)
        result = Result.PENDING if ledger is None else ledger.result
        reasons = since_last_try([event.kind for event in events if event.run_id == run.id])
        points = sum(file.startswith(f"records/{run.id}-") for file in sweep.finished)
        wants_points = len(sweep.task.config.load) if result is Result.MEASURED else points
        is_whole = len(reasons) == 1 and points == wants_points
        if ledger is None or not ledger.settled or not is_whole:
            counts.unaccounted += 1
            note(sweep, f"{run.id} ended as {ledger} with {reasons}, {points} points")
            continue
        counts.measured += result is Result.MEASURED
        if result is not Result.MEASURED and not ledger.cause:
            counts.unaccounted += 1
            note(sweep, f"{run.id} is {result} for no reason")
        because = "" if result in (Result.MEASURED, Result.SKIPPED) else f": {ledger.cause}"
        counts.outcomes[f"{result}{because}"] += 1


def since_last_try(kinds: list[str]) -> list[str]:
    last = max((place for place, kind in enumerate(kinds) if kind == "retried"), default=-1)
    return [kind for kind in kinds[last + 1 :] if kind in SETTLING]


def run_zone(numbers: range, *, seed: int, jobs: int, folder: Path, counts: Counts) -> None:
    """Some sweeps in one zone of many tenants, several at a time."""
    rules: list[Rule] = zone_rules(random.Random(f"{seed}:zone:{numbers.start}"))
    blank = Credentials("", "", "", "")  # type: ignore[arg-type]  # replaced once the zone is up
    cells = [make_sweep(number, seed=seed, folder=folder, credentials=blank) for number in numbers]
    for sweep in cells:
        rules += cell_rules(sweep.draw, [cell.id for cell in sweep.task.plan.accepted])
    faults = folder / "faults.yaml"
    plenty = {"gpu3": 10_000}
    faults.write_text(
        yaml.safe_dump({"seed": seed, "faults": rules, "quotas": plenty, "stock": plenty}), encoding="utf-8"
    )
    taken = cells[0].task.plan.accepted[0].id
    foreign = ("harness", "production", f"harness-0123abcd-{taken}-r0", f"harness-{taken}")
    with SimulatorProcess(Options(time_scale=TIME_SCALE, faults=faults, foreign=foreign)) as zone:
        waiting = [made(sweep, zone.credentials) for sweep in reversed(cells)]
        running: list[Sweep] = []
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(waiting.pop())
                start(running[-1], counts)
            for sweep in [sweep for sweep in running if ended(sweep, counts)]:
                if look(sweep, counts):
                    running.remove(sweep)
                else:
                    start(sweep, counts)
            time.sleep(0.004)
        state = zone.state()
    intended = {
        event.data["name"] for sweep in cells for event in sweep.events() if event.kind == "create-intended"
    }
    kept = sorted(record["name"] for record in state["foreign"])
    counts.foreign_deleted += len(set(foreign) - set(kept))
    counts.deployments_created += len(state["created"])
    counts.deployments_left += len(state["alive"])
    counts.deployments_unintended += len(set(state["created"]) - intended)
    counts.faults.update(state["faults"])
    for record in state["alive"]:
        print(f"left alive: {record}", file=sys.stderr)


def made(sweep: Sweep, credentials: Credentials) -> Sweep:
    task = sweep.task
    sweep.task = Task(task.config, task.plan, task.folder, credentials)
    return sweep


def one_certificate(folder: Path) -> Path:
    """A file of one authority: enough for clients that speak to loopback, and read a hundred times faster."""
    first, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----")
    path = folder / "authority.pem"
    path.write_text(first[first.index("-----BEGIN") :] + end + "\n", encoding="utf-8")
    ssl.create_default_context(cafile=str(path))
    return path


def main() -> int:
    """Runs the sweeps and prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="folder to leave everything in")
    options = parser.parse_args()
    counts, began = Counts(), time.monotonic()
    with contextlib.ExitStack() as stack:
        root = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        root.mkdir(exist_ok=True)
        os.environ["SSL_CERT_FILE"] = str(one_certificate(root))
        gc.collect()
        gc.freeze()
        for first in range(0, options.sweeps, ZONE_SWEEPS):
            place = root / str(first)
            place.mkdir()
            numbers = range(first, min(first + ZONE_SWEEPS, options.sweeps))
            run_zone(numbers, seed=options.seed, jobs=options.jobs, folder=place, counts=counts)
        if not counts.is_clean:
            for words in sorted(root.glob("*/*.txt")):
                print(f"{words}:\n{words.read_text(encoding='utf-8')}", file=sys.stderr)
    counts.seconds = round(time.monotonic() - began, 1)
    print(json.dumps(vars(counts)))
    return 0 if counts.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
