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
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from harness.errors import HarnessError, NetworkError, was_interrupted
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.credentials import Credentials
from harness.load.records import Endpoint
from harness.load.session import LoadJob
from harness.plan.config import load_config
from harness.results.store import write_records
from harness.secret import Secret
from harness.simulator.process import SimulatorProcess
from harness.simulator.server import Options
from harness.sweep.loads import levels, workload
from harness.sweep.preflight import preflight
from tests.sweep.chaos_books import Counts, Sweep, look, note
from tests.sweep.chaos_faults import Rule, cell_rules, zone_rules
from tests.sweep.chaos_round import POLICY, Blow, Task, carry_out, clean_up, drive, probe

TIME_SCALE = 2000.0
ZONE_SWEEPS = 60
LONGEST_ROUND_S = 60.0
INTERRUPTED = 130
INTERRUPTS = {signal.SIGINT, signal.SIGTERM}
DEFECT = 99
NOBODY = Credentials("none", Secret("none"), "none", "http://127.0.0.1:1/v2")


def make_sweep(number: int, *, seed: int, folder: Path, credentials: Credentials) -> Sweep:
    """Two to four cells that can start and, now and then, some that cannot; one or two load levels.

    Where deployments are reused, often two groups of cells take turns and wait for each other.
    """
    draw = random.Random(f"{seed}:{number}")
    reuse = draw.random() < 0.4
    takes_turns = reuse and draw.random() < 0.7
    sets = {
        f"s{index}": [f"--seed={number * 10 + index}"]
        for index in range(2 if takes_turns else draw.randint(2, 3))
    }
    if draw.random() < 0.25:
        sets["wrong"] = ["--max-model-length=1024"]
    document = {
        "name": "chaos",
        "model": "Qwen/Qwen3-4B",
        "engine-version": "0.15.1",
        "parameters": ["--max-model-len=2048"],
        "matrix": {"gpu-type": ["gpu3"], "gpu-count": [1, 2] if takes_turns else [1], "parameters": sets},
        "workload": {"input-tokens": 64, "output-tokens": 8},
        "load": [{"concurrency": [1, 2][: draw.randint(1, 2)], "requests": 2, "warmup": "0s"}],
    }
    path = folder / f"{number}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    config = load_config(str(path))
    plan = preflight(config, managed=True)
    task = Task(config, plan, folder / f"out-{number}", credentials, reuse=reuse)
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
        struck = "first attempt" if sweep.round == 0 else "clean-up" if sweep.cleans else "resume"
        counts.struck[struck] += 1
    sweep.round += 1
    sweep.exit_code = None
    sweep.started_at = time.monotonic()
    work = clean_up(sweep.task) if sweep.cleans else carry_out(sweep.task, blow)
    signal.pthread_sigmask(
        signal.SIG_BLOCK, INTERRUPTS
    )  # a child struck before ``live`` would act the parent
    sweep.pid = os.fork()
    if not sweep.pid:
        live(sweep, work)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
    work.close()


def live(sweep: Sweep, work: Coroutine[Any, Any, int]) -> None:
    """The child's whole life."""
    code = DEFECT
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
        code = asyncio.run(work)
    except HarnessError as error:
        code = error.exit_code
        note(sweep, f"{type(error).__name__}: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = INTERRUPTED
    except BaseException as error:  # noqa: BLE001  # a child's last words, whatever they are
        if was_interrupted(
            error
        ):  # before or after the handlers were in place; what it left is counted all the same
            code = INTERRUPTED
        else:
            note(sweep, traceback.format_exc())
    finally:
        os._exit(code)


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


def run_zone(numbers: range, *, seed: int, jobs: int, folder: Path, counts: Counts) -> None:
    """Some sweeps in one zone of many tenants, several at a time."""
    rules: list[Rule] = zone_rules(random.Random(f"{seed}:zone:{numbers.start}"))
    cells = [make_sweep(number, seed=seed, folder=folder, credentials=NOBODY) for number in numbers]
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
    sweep.task = replace(sweep.task, credentials=credentials)
    return sweep


async def warm_up(folder: Path) -> None:
    """Loads here what a request and writing records would otherwise load in every child."""
    with contextlib.suppress(NetworkError):
        async with ExoscaleClient(NOBODY, policy=POLICY) as client:
            await client.list_deployments()
    config = make_sweep(0, seed=0, folder=folder, credentials=NOBODY).task.config
    endpoint = Endpoint("http://127.0.0.1:1/v1", "m")
    job = LoadJob(
        endpoint=endpoint,
        stage=levels(config)[0],
        workload=workload(config.workload),
        probe=await probe(endpoint),
    )
    write_records(folder / "warm.parquet", await drive(job))


def memory_folder() -> str | None:
    """A folder that waits for no disk: these crashes are of processes, not of machines."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


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
        root = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory_folder())))
        root.mkdir(exist_ok=True)
        asyncio.run(warm_up(root))
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
