"""One round of a sweep under chaos: begin it, resume it or clean up after it, in a process of its own.

The code is the command line's: preflight, folder, ``conduct``, ``clean_folder``, a real client of a real HTTP
server. Only the load test is replaced, by one that takes no time and writes real records.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from harness.cli.resuming import reopen
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.credentials import Credentials
from harness.exoscale.retries import RetryPolicy
from harness.load.probe import Probe
from harness.load.prompts import GUESS
from harness.load.records import ClientStats, Endpoint, Outcome, RequestRecord, StageResult
from harness.load.session import LoadJob
from harness.plan.config import SweepConfig
from harness.sweep.budget import Budget, RunEstimate
from harness.sweep.cleanup import clean_folder
from harness.sweep.conduct import Conduct, conduct
from harness.sweep.deployers import Deployer
from harness.sweep.estimates import Timing, estimate_runs
from harness.sweep.exoscale_deployer import ExoscaleDeployer
from harness.sweep.exoscale_ready import CloudTiming
from harness.sweep.keeping import keep
from harness.sweep.lifecycle import Patience
from harness.sweep.measure import Instruments
from harness.sweep.opening import resolve, start_folder
from harness.sweep.preflight import Preflight
from harness.sweep.runner import Limits
from harness.sweep.starts import Starts

LEVEL_S = 0.02
THOUGHT_S = 1000.0
CLIENT = ClientStats("user", 0.0, 0.0, 0.0, 2, 0, 0.0, 1)
TIMING = CloudTiming(ready_s=1.5, operation_s=1.0, pace=1 / 150)
PATIENCE = Patience(delete_s=4.0, find_s=0.3, resend_s=0.4, poll_s=0.03, retry_s=0.03)
POLICY = RetryPolicy(first_wait_s=0.01, longest_wait_s=0.05, deadline_s=1.0)


@dataclass(frozen=True, slots=True)
class Blow:
    """A signal to this very process ``delay_s`` after its ``event``-th journal entry (from 0)."""

    number: signal.Signals
    event: int
    delay_s: float


@dataclass(frozen=True, slots=True)
class Task:
    """One sweep: what was asked and how, where it keeps its results and which zone it runs in."""

    config: SweepConfig
    plan: Preflight
    folder: Path
    credentials: Credentials
    reuse: bool


async def carry_out(task: Task, blow: Blow | None) -> int:
    """What ``harness sweep`` and ``harness sweep --resume`` do; the exit code."""
    async with zone(task.credentials) as deployer:
        if (task.folder / "resolved.json").exists():
            folder, journal, ledgers = reopen(task.folder, task.config, task.plan, unix_s=time.time)
        else:
            resolved = resolve(task.config, task.plan, deployer, prices=None)
            folder, journal = start_folder(
                task.folder, task.config, task.plan, resolved, kept=keep(task.config), replace=True
            )
            ledgers = {}
        how = Conduct(
            limits=Limits(parallel_deployments=2, reuse=task.reuse),
            patience=PATIENCE,
            budget=Budget(thought_long(estimate_runs(task.config, task.plan.accepted, lambda cell: None))),
            times=times(),
            notice=_Striker(blow),
            instruments=Instruments(probe=probe, drive=drive, read_metrics=_no_metrics),
        )
        with journal:
            outcome = await conduct(task.config, task.plan, deployer, folder, journal, how, ledgers=ledgers)
    return outcome.exit_code


def thought_long(estimates: Mapping[str, RunEstimate]) -> dict[str, RunEstimate]:
    """Estimates by which waiting for another's load test is worth scaling to zero, however slow starts are here.

    The timetable learns from the starts it sees. No round takes more than a minute, and after a start of that length
    107 s count as late: far below what a load test is thought to take, so that no machine is too slow for it.
    """
    return {run_id: replace(estimate, load_s=THOUGHT_S) for run_id, estimate in estimates.items()}


def times() -> Timing:
    """Starts as short as the zone's."""
    return Timing(Starts(LEVEL_S / 20), Starts(LEVEL_S / 20), LEVEL_S / 20, LEVEL_S / 20)


async def clean_up(task: Task) -> int:
    """What ``harness cleanup`` does with one folder; the exit code."""
    if not (task.folder / "journal.sqlite").exists():
        return 0

    @asynccontextmanager
    async def cloud_for(folder: Path, started: Mapping[str, Any]) -> AsyncIterator[tuple[Deployer, Patience]]:
        async with zone(task.credentials) as deployer:
            yield deployer, PATIENCE

    cleaned = await clean_folder(task.folder, cloud_for)
    return 3 if cleaned.remaining else 0


@asynccontextmanager
async def zone(credentials: Credentials) -> AsyncIterator[ExoscaleDeployer]:
    """A deployer over a client that hurries. Its transport is httpx's own, without the certificates it never needs."""
    transport = httpx.AsyncHTTPTransport(verify=False)
    async with ExoscaleClient(credentials, transport=transport, policy=POLICY, timeout_s=3.0) as client:
        yield ExoscaleDeployer(client, simulated=True, timing=TIMING)


class _Striker:
    """Counts journal entries and strikes at the one the blow names."""

    def __init__(self, blow: Blow | None) -> None:
        self._blow = blow
        self._seen = 0

    def __call__(self, run_id: str, kind: str, data: Mapping[str, Any]) -> None:
        blow = self._blow
        if blow is not None and self._seen == blow.event:
            if blow.delay_s:
                asyncio.get_running_loop().call_later(blow.delay_s, os.kill, os.getpid(), blow.number)
            else:
                os.kill(os.getpid(), blow.number)
        self._seen += 1


async def probe(endpoint: Endpoint, **_: object) -> Probe:
    """Asks nothing."""
    return Probe(endpoint.model, 2048, True, False, False, False, None, False, None, GUESS)


async def _no_metrics(endpoint: Endpoint) -> None:
    return None


async def drive(job: LoadJob, **_: object) -> StageResult:
    """A level of two requests with instants drawn anew each time: measuring twice does not give the same bytes."""
    await asyncio.sleep(LEVEL_S)
    draw = random.SystemRandom()
    records = [_record(index, first_s=draw.uniform(0.1, 0.2)) for index in range(2)]
    return StageResult("2 requests", job.stage.to_json(), records, 0.0, 1.0, 1_700_000_000.0, CLIENT)


def _record(index: int, *, first_s: float) -> RequestRecord:
    return RequestRecord(
        index,
        scheduled_s=0.0,
        sent_s=0.0,
        first_token_s=first_s,
        last_token_s=0.9,
        done_s=0.9,
        ended_s=0.9,
        chunk_times_s=np.array([first_s, 0.9]),
        chunk_tokens=np.array([1, 1], np.int32),
        completion_tokens=2,
        outcome=Outcome.SUCCEEDED,
    )
