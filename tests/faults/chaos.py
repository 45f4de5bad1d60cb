"""Seeded sweeps against a failing zone, killed at random and picked up again: nothing leaks, nothing is lost.

``python tests/faults/chaos.py --sweeps 300`` prints its counts as one JSON line and ends with 1 if any of these
is broken: every deployment of a sweep is gone in the end, no foreign one was touched, no finished measurement is
lost or made twice, every run has one outcome. Sweeps are processes of their own, forked from this one, so
that SIGKILL means what it says; the truth is the simulator's own list.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.errors import HarnessError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.credentials import Credentials
from harness.exoscale.retries import RetryPolicy
from harness.plan.cells import Cell
from harness.results.journal import Journal, read_events
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options
from harness.sweep.deployers import Ready, Run
from harness.sweep.exoscale_deployer import CloudTiming, ExoscaleDeployer
from harness.sweep.interrupts import Interrupts
from harness.sweep.lifecycle import Lifecycle, Patience
from harness.sweep.runner import SweepRunner
from harness.sweep.states import Result, leftovers, replay

TIME_SCALE = 1000.0
GROUP = 20
RUNS = 2
ROUNDS = 12
SIGNALS = (None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL)
LONGEST_S = 60.0
INTERRUPTED = 130
# What may go wrong in a group; some of these, each with its own probability.
MENU: tuple[dict[str, Any], ...] = (
    {"fault": "rate-limited", "retry_after_s": 0},
    {"fault": "server-error", "status": 500},
    {"fault": "server-error", "status": 502},
    {"fault": "server-error", "operation": "create-deployment", "status": 503},
    {"fault": "reset-before"},
    {"fault": "reset-after"},
    {"fault": "reset-after", "operation": "create-deployment"},
    {"fault": "error-after", "operation": "create-deployment"},
    {"fault": "error-after", "operation": "delete-deployment"},
    {"fault": "forbidden"},
    {"fault": "busy", "operation": "delete-deployment"},
    {"fault": "no-capacity"},
    {"fault": "no-reference"},
    {"fault": "operation-unknown", "seconds": 50},
    {"fault": "operation-stuck", "seconds": 50},
    {"fault": "operation-failed"},
    {"fault": "operation-failed", "operation": "delete-deployment"},
    {"fault": "deployment-error"},
    {"fault": "deployment-stuck", "operation": "deploying"},
    {"fault": "slow-start", "factor": 4},
    {"fault": "unknown-state"},
    {"fault": "key-late", "seconds": 80},
    {"fault": "url-unavailable", "seconds": 80},
    {"fault": "parameters-dropped"},
)


@dataclass
class Counts:
    """What is printed in the end."""

    sweeps: int = 0
    rounds: int = 0
    deployments_created: int = 0
    deployments_deleted: int = 0
    deployments_left: int = 0
    foreign_deleted: int = 0
    measured: int = 0
    measurements_lost: int = 0
    measured_twice: int = 0
    unaccounted: int = 0
    defects: int = 0
    signals: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        return not (
            self.deployments_left
            or self.foreign_deleted
            or self.measurements_lost
            or self.measured_twice
            or self.unaccounted
            or self.defects
        )


@dataclass
class Sweep:
    """One sweep: its folder, its runs, and what has been seen of it so far."""

    number: int
    folder: Path
    generator: random.Random
    credentials: Credentials
    round: int = 0
    measured: set[str] = field(default_factory=set)
    pid: int = 0
    started_at: float = 0.0
    kill_at: float = 0.0
    signal: signal.Signals | None = None

    @property
    def runs(self) -> list[Run]:
        cell = Cell("gpu3", 1, 1, "0.15.1", "Qwen/Qwen3-4B", ("--max-model-len=2048",))
        names = [f"harness-chaos-{self.number}-{repeat}-{self.round}" for repeat in range(RUNS)]
        return [Run(cell, repeat, name) for repeat, name in enumerate(names)]

    @property
    def journal(self) -> Path:
        return self.folder / "journal.sqlite"


def start(sweep: Sweep) -> None:
    """Forks the next round of a sweep: the sweep itself, a resumption, or, in later rounds, a clean-up."""
    draw = sweep.generator
    last = sweep.round >= ROUNDS - 4
    cleans = last or (sweep.round > 0 and draw.random() < 0.3)
    sweep.signal = None if last else draw.choice(SIGNALS)
    sweep.started_at = time.monotonic()
    sweep.kill_at = sweep.started_at + draw.uniform(0.0, 0.9)
    sweep.round += 1
    work = clean if cleans else carry_out
    sweep.pid = os.fork()
    if sweep.pid:
        return
    code = 9
    try:
        os.setpgid(0, 0)
        asyncio.run(work(sweep))
        code = 0
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = INTERRUPTED
    except BaseException:  # noqa: BLE001  # a child's last words, whatever they are
        with (sweep.folder / "defect.txt").open("a") as file:
            traceback.print_exc(file=file)
    finally:
        os._exit(code)


def client_of(sweep: Sweep) -> ExoscaleClient:
    policy = RetryPolicy(first_wait_s=0.01, longest_wait_s=0.05, deadline_s=2.0)
    return ExoscaleClient(sweep.credentials, policy=policy, timeout_s=5.0)


def lifecycle_of(sweep: Sweep, client: ExoscaleClient, journal: Journal) -> Lifecycle:
    timing = CloudTiming(ready_s=2.0, operation_s=2.0, pace=1 / 100)
    deployer = ExoscaleDeployer(client, simulated=True, timing=timing)
    patience = Patience(delete_s=5.0, find_s=0.3, resend_s=0.5, poll_s=0.03, retry_s=0.03)
    return Lifecycle(deployer, journal, ledgers=replay(journal.events()), patience=patience)


async def carry_out(sweep: Sweep) -> None:
    """The sweep, from its beginning or from where its journal ends."""
    make = Journal.open if sweep.journal.exists() else Journal.create

    async def measure(run: Run, ready: Ready) -> None:
        await asyncio.sleep(0.05)
        with (sweep.folder / "measurements").open("a") as file:
            file.write(f"{run.id}\n")

    interrupts = Interrupts()
    with interrupts.installed(), make(sweep.journal) as journal:
        async with client_of(sweep) as client:
            lifecycle = lifecycle_of(sweep, client, journal)
            if await remains_after_clean_up(lifecycle):
                return
            runner = SweepRunner(
                lifecycle,
                measure=measure,
                keep_logs=lambda run_id, lines: f"{run_id}.log",
                interrupts=interrupts,
            )
            await runner.run(sweep.runs)


async def clean(sweep: Sweep) -> None:
    """What ``harness cleanup`` does with one journal."""
    if not sweep.journal.exists():
        return
    with Journal.open(sweep.journal) as journal:
        async with client_of(sweep) as client:
            await remains_after_clean_up(lifecycle_of(sweep, client, journal))


async def remains_after_clean_up(lifecycle: Lifecycle) -> bool:
    """Tears down what an earlier round left; True when something of it is still there."""
    for ledger in leftovers(lifecycle.ledgers.values()):
        try:
            await lifecycle.tear_down(ledger.run_id)
        except HarnessError:
            return True
    return False


def ended(sweep: Sweep, counts: Counts) -> bool:
    """True once the present round is over; signals and overdue processes are dealt with on the way."""
    now = time.monotonic()
    if sweep.signal is not None and now >= sweep.kill_at:
        counts.signals[sweep.signal.name] += 1
        os.kill(sweep.pid, sweep.signal)
        sweep.signal = None
    pid, status = os.waitpid(sweep.pid, os.WNOHANG)
    if pid == 0:
        if now - sweep.started_at > LONGEST_S:
            counts.defects += 1
            os.kill(sweep.pid, signal.SIGKILL)
            os.waitpid(sweep.pid, 0)
            return True
        return False
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) not in (0, INTERRUPTED):
        counts.defects += 1
    return True


def look(sweep: Sweep, counts: Counts) -> bool:
    """Holds the journal against what was known before; True when nothing is left to do for the sweep."""
    ledgers = replay(read_events(sweep.journal)) if sweep.journal.exists() else {}
    measured = {run_id for run_id, ledger in ledgers.items() if ledger.result is Result.MEASURED}
    counts.measurements_lost += len(sweep.measured - measured)
    sweep.measured |= measured
    if sweep.round < ROUNDS and (leftovers(ledgers.values()) or len(ledgers) < RUNS):
        return False
    pending = [
        run.id for run in sweep.runs if run.id not in ledgers or ledgers[run.id].result is Result.PENDING
    ]
    if pending and sweep.round < ROUNDS - 4:
        return False
    close(sweep, counts, ledgers)
    return True


def close(sweep: Sweep, counts: Counts, ledgers: dict[str, Any]) -> None:
    counts.sweeps += 1
    counts.rounds += sweep.round
    counts.measured += len(sweep.measured)
    made = Counter((sweep.folder / "measurements").read_text().split()) if sweep.measured else Counter()
    finished = Counter(event.run_id for event in read_events(sweep.journal) if event.kind == "measured")
    counts.measured_twice += sum(1 for count in finished.values() if count > 1)
    counts.measurements_lost += sum(1 for run_id in sweep.measured if not made[run_id])
    for run in sweep.runs:
        ledger = ledgers.get(run.id)
        if ledger is None:
            counts.outcomes["never begun"] += 1
        elif ledger.result is Result.PENDING:
            counts.outcomes["interrupted"] += 1
        elif ledger.result is Result.FAILED and not ledger.cause:
            counts.unaccounted += 1
        else:
            counts.outcomes[f"{ledger.result} {ledger.cause or ''}".strip()] += 1


def rules_of(generator: random.Random) -> list[dict[str, Any]]:
    chosen = generator.sample(MENU, generator.randint(2, 6))
    rules = []
    for entry in chosen:
        probability = 0.01 if entry["fault"] == "forbidden" else generator.choice((0.03, 0.1, 0.25))
        rules.append(entry | {"probability": probability})
    return rules


def group(numbers: range, *, seed: int, jobs: int, folder: Path, counts: Counts) -> Iterator[str]:
    """Some sweeps in one zone; yields what was found wrong with it."""
    generator = random.Random(f"{seed}:{numbers.start}")
    faults = folder / "faults.yaml"
    rules = rules_of(generator)
    stock = {"gpu3": 10_000}
    faults.write_text(
        yaml.safe_dump({"seed": numbers.start, "faults": rules, "quotas": stock, "stock": stock})
    )
    foreign = ("harness-chaos", f"harness-chaos-{numbers.start}-0-old", "production")
    with SimulatorProcess(Options(time_scale=TIME_SCALE, faults=faults, foreign=foreign)) as zone:
        waiting, running = [], []
        for number in numbers:
            place = folder / str(number)
            place.mkdir()
            waiting.append(Sweep(number, place, random.Random(f"{seed}:{number}"), zone.credentials))
        waiting.reverse()
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(waiting.pop())
                start(running[-1])
            for sweep in [sweep for sweep in running if ended(sweep, counts)]:
                if look(sweep, counts):
                    running.remove(sweep)
                else:
                    start(sweep)
            time.sleep(0.005)
        state = zone.state()
    counts.deployments_created += len(state["created"])
    counts.deployments_deleted += len(state["deleted"])
    counts.deployments_left += len(state["alive"])
    counts.foreign_deleted += len(foreign) - len(state["foreign"])
    counts.faults.update(state["faults"])
    if state["alive"]:
        yield f"left alive with {rules}: {state['alive']}"
    for defect in folder.glob("*/defect.txt"):
        yield f"{defect}: {defect.read_text()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sweeps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=6)
    options = parser.parse_args()
    counts, began = Counts(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for first in range(0, options.sweeps, GROUP):
            place = Path(folder) / str(first)
            place.mkdir()
            numbers = range(first, min(first + GROUP, options.sweeps))
            for trouble in group(numbers, seed=options.seed, jobs=options.jobs, folder=place, counts=counts):
                print(trouble, file=sys.stderr)
    counts.seconds = round(time.monotonic() - began, 1)
    print(json.dumps(vars(counts)))
    return 0 if counts.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
