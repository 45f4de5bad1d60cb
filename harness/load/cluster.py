"""Shards on a dask cluster, through the Executor of its client: one a worker, or as many as asked for, dealt out.

Everything said to the cluster is said from a thread that nothing waits for at the end: a scheduler or worker that does
not answer is an error after some seconds, never a hang.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from harness import __version__
from harness.errors import HarnessError, NetworkError, UsageError
from harness.load.clocks import ClockOffset, Reading, RoundTrip, clock_offset
from harness.load.crew import Begun, Crew, Hear, LocalCrew
from harness.load.job import LoadJob, ShardTask, most_shards
from harness.load.records import HostClock

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
ADDRESS = re.compile(r"(?:dask|tcp|(tls))://([^/\s]+:\d+)/?")
CONNECT_WITHIN_S = 10.0
ANSWER_WITHIN_S = 15.0
READY_WITHIN_S = 120.0
END_WITHIN_S = 5.0
LOOK_EVERY_S = 1.0
ROUND_TRIPS = 16
# The word to begin goes by way of the scheduler to every worker.
START_DELAY_NS = 500_000_000


def scheduler_address(text: str) -> str:
    """The scheduler's address as its client wants it; UsageError for what names none."""
    match = ADDRESS.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--executor takes dask://HOST:PORT, or tls://HOST:PORT for a scheduler with TLS, not {text!r}"
        )
    return f"{match[1] or 'tcp'}://{match[2]}"


@asynccontextmanager
async def open_crew(executor: str | None) -> AsyncIterator[Crew]:
    """Who runs the shards: the cluster whose scheduler is at ``executor``, or this machine's processes for None.

    UsageError when the extra is not installed or a worker has another version, NetworkError when nobody is there.
    """
    if executor is None:
        yield LocalCrew()
        return
    address = scheduler_address(executor)
    await asyncio.to_thread(_import_distributed)
    limit_s = CONNECT_WITHIN_S + ANSWER_WITHIN_S
    client = await _said(partial(_connect, address), within_s=limit_s, to=address)
    try:
        yield await DaskCrew.of(client, address)
    finally:
        with suppress(HarnessError):
            await _said(partial(client.close, END_WITHIN_S), within_s=2 * END_WITHIN_S, to=address)


def _import_distributed() -> None:
    """Before anything is timed: it takes seconds on a busy machine."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--executor needs the extra 'cluster': pip install 'inference-harness[cluster]'"
        ) from error


def _connect(address: str) -> Client:
    from distributed import Client

    try:
        return Client(address, timeout=CONNECT_WITHIN_S, set_as_default=False, name="harness-load")
    except (TypeError, ValueError, RuntimeError) as error:
        # So it complains of certificates that its configuration does not name, or that are no certificates.
        raise UsageError(f"cannot connect to {address}: {error}") from error


async def _said(function: Callable[[], T], *, within_s: float, to: str) -> T:
    """What a blocking call of the cluster's client gives; NetworkError when it gives nothing in time."""
    found: Future[T] = Future()
    found.set_running_or_notify_cancel()

    def run() -> None:
        try:
            found.set_result(function())
        except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to whoever asked
            found.set_exception(error)

    threading.Thread(target=run, daemon=True, name="cluster-call").start()
    try:
        async with asyncio.timeout(within_s):
            return await asyncio.wrap_future(found)
    except TimeoutError as error:
        raise NetworkError(f"the dask cluster at {to} does not answer") from error
    except OSError as error:
        raise NetworkError(f"no dask scheduler at {to}: {error}") from error


class DaskCrew:
    """The workers that a scheduler had when this was made."""

    def __init__(
        self, client: Client, address: str, threads: Mapping[str, int], hosts: Mapping[str, str]
    ) -> None:
        self.client, self.address = client, address
        self.hosts = hosts
        # Worker after worker, then their second threads, and so on.
        self._slots = [
            worker for turn in range(max(threads.values())) for worker in threads if threads[worker] > turn
        ]
        self._runs: dict[str, Hear] = {}

    @staticmethod
    async def of(client: Client, address: str) -> DaskCrew:
        """The crew behind a client; each worker must have this version of the program."""
        threads = await _said(client.nthreads, within_s=ANSWER_WITHIN_S, to=address)
        threads = dict(sorted((worker, count) for worker, count in threads.items() if count))
        if not threads:
            raise NetworkError(f"the dask scheduler at {address} has no workers")
        ask = partial(client.run, _introduction(), on_error="return")
        hosts = {}
        for worker, answer in (await _said(ask, within_s=ANSWER_WITHIN_S, to=address)).items():
            if worker in threads:
                hosts[worker] = _checked(worker, answer)
        crew = DaskCrew(
            client, address, {worker: threads[worker] for worker in threads if worker in hosts}, hosts
        )
        client.subscribe_topic("harness-load", crew._heard)
        return crew

    def _heard(self, event: tuple[float, Any]) -> None:
        """Words of a shard; of one that belongs to another session too."""
        words = event[1]
        hear = self._runs.get(words["run"])
        if hear is not None:
            hear(words["shard"], words["kind"], words["content"].encode())

    async def ask(
        self, function: Callable[..., Any], *arguments: Any, workers: Sequence[str]
    ) -> dict[str, Any]:
        """What a function gives on each of the workers, an exception where it gave none."""
        call = partial(self.client.run, function, *arguments, workers=list(workers), on_error="return")
        return await _said(call, within_s=ANSWER_WITHIN_S, to=self.address)

    def shards_for(self, job: LoadJob) -> int:
        """One a worker unless a number is asked for; never more than the job has users or the cluster threads."""
        count = most_shards(job, job.processes or len(self.hosts))
        if count > len(self._slots):
            raise UsageError(
                f"{count} load processes need as many worker threads; the cluster has {len(self._slots)}"
            )
        return count

    @asynccontextmanager
    async def shift(self, tasks: Sequence[ShardTask], hear: Hear) -> AsyncIterator[DaskShift]:
        """The tasks on their workers; what of them still runs when the block is left is ended."""
        run = secrets.token_hex(8)
        self._runs[run] = hear
        shift = DaskShift(self, run, self._slots[: len(tasks)])
        try:
            await shift.submit(tasks)
            yield shift
        finally:
            self._runs.pop(run)
            await shift.end()


class DaskShift:
    """Shards of one stage on the cluster; shard ``n`` runs on ``workers[n]``."""

    def __init__(self, crew: DaskCrew, run: str, workers: Sequence[str]) -> None:
        self._crew, self._run, self._workers = crew, run, workers
        self._distinct = sorted(set(workers))
        self._executors: list[Any] = []
        self._begun = False
        self.futures: list[Future[bytearray]] = []

    async def submit(self, tasks: Sequence[ShardTask]) -> None:
        """Hand every task to the Executor of its worker."""
        from harness.load.remote import run_shard

        def hand_over() -> None:
            # pure=False: the key is random. Derived from its arguments it would tell of the secret in them.
            options = {"pure": False, "retries": 0, "allow_other_workers": False}
            by_worker = {
                name: self._crew.client.get_executor(workers=[name], **options) for name in self._distinct
            }
            self._executors = list(by_worker.values())
            for task, worker in zip(tasks, self._workers, strict=True):
                theirs = by_worker[worker].submit(run_shard, task, self._run)
                self.futures.append(_ours(theirs, worker))

        await _said(hand_over, within_s=ANSWER_WITHIN_S, to=self._crew.address)

    async def begin(self) -> Begun:
        """Estimate every host's clock, then give each shard the common instant on its own."""
        from harness.load.remote import begin_shards

        offsets = await self._offsets()
        at_ns = time.monotonic_ns() + START_DELAY_NS
        host_of = self._crew.hosts
        starts_ns = {
            number: at_ns + offsets[host_of[worker]].monotonic_ns
            for number, worker in enumerate(self._workers)
        }
        answers = await self._crew.ask(begin_shards, self._run, starts_ns, workers=self._distinct)
        for worker, answer in answers.items():
            if isinstance(answer, Exception):
                raise NetworkError(f"worker {worker} could not be told to begin: {answer}")
        self._begun = True
        shards = Counter(host_of[worker] for worker in self._workers)
        return Begun(
            at_ns,
            tuple(
                HostClock(host, shards[host], offset.unix_s, offset.uncertainty_s)
                for host, offset in sorted(offsets.items())
            ),
        )

    async def _offsets(self) -> dict[str, ClockOffset]:
        """Each host's clocks less ours, asked of one of its workers several times over."""
        from harness.load.remote import read_clocks

        speaker = {self._crew.hosts[worker]: worker for worker in reversed(self._distinct)}

        def trips(worker: str) -> ClockOffset:
            found = []
            for _ in range(ROUND_TRIPS):
                asked = Reading(time.monotonic_ns(), time.time_ns())
                theirs = self._crew.client.run(read_clocks, workers=[worker])[worker]
                found.append(RoundTrip(asked, time.monotonic_ns(), Reading(*theirs)))
            return clock_offset(found)

        return {
            host: await _said(partial(trips, worker), within_s=ANSWER_WITHIN_S, to=self._crew.address)
            for host, worker in speaker.items()
        }

    async def finish(self) -> None:
        """Say so to the workers; a shard of one that does not hear it goes on to its end."""
        from harness.load.remote import finish_shards

        await self._crew.ask(finish_shards, self._run, workers=self._distinct)

    async def watch(self) -> None:
        """Raise once a worker has left, the scheduler is gone, or shards do not become ready."""
        client, address = self._crew.client, self._crew.address
        began_s = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            there = await _said(client.nthreads, within_s=ANSWER_WITHIN_S, to=address)
            for number, worker in enumerate(self._workers):
                if worker not in there and not self.futures[number].done():
                    where = f"'{self._crew.hosts[worker]}' ({worker})"
                    lost = f"shard {number + 1} of {len(self._workers)}"
                    raise NetworkError(f"the worker on {where} was lost, and {lost} with it")
            if not self._begun and time.monotonic() - began_s > READY_WITHIN_S:
                raise NetworkError(
                    f"not all shards were ready within {READY_WITHIN_S:.0f} s: are the workers of {address} busy?"
                )

    async def end(self) -> None:
        """No shard runs any more; what cannot be reached ends by itself, with its task or its worker."""
        if all(future.done() for future in self.futures):
            return
        from harness.load.remote import end_shards

        with suppress(HarnessError):
            await _said(self._take_back, within_s=END_WITHIN_S, to=self._crew.address)
            there = await _said(self._crew.client.nthreads, within_s=END_WITHIN_S, to=self._crew.address)
            workers = [worker for worker in self._distinct if worker in there]
            end_s = time.monotonic() + END_WITHIN_S
            while workers and time.monotonic() < end_s:
                answers = await self._crew.ask(end_shards, self._run, workers=workers)
                workers = [worker for worker, left in answers.items() if isinstance(left, int) and left]
                await asyncio.sleep(0.05)

    def _take_back(self) -> None:
        for executor in self._executors:
            executor.shutdown(wait=False)


def _introduction() -> Callable[[], tuple[str | None, str]]:
    """A function that says which version a worker has and where it is; it works where there is none."""

    def introduce() -> tuple[str | None, str]:
        import socket

        try:
            from harness import __version__ as version
        except ImportError:
            return None, socket.gethostname()
        return version, socket.gethostname()

    return introduce


def _checked(worker: str, answer: Any) -> str:
    """The host of a worker that can run our shards."""
    if isinstance(answer, Exception):
        raise NetworkError(f"worker {worker} does not run what it is asked to: {answer}")
    version, host = answer
    if version != __version__:
        has = "no harness" if version is None else f"harness {version}"
        raise UsageError(
            f"the worker on '{host}' ({worker}) has {has}, this is {__version__}: install the same version there"
        )
    return str(host)


def _ours(theirs: Future[bytearray], worker: str) -> Future[bytearray]:
    """A future that follows theirs, in our errors; cancelling it does not wait for the scheduler."""
    ours: Future[bytearray] = Future()
    ours.set_running_or_notify_cancel()

    def follow(done: Future[bytearray]) -> None:
        if done.cancelled():
            ours.set_exception(NetworkError(f"the cluster gave up the shard on {worker}"))
            return
        error = done.exception()
        if error is None:
            ours.set_result(done.result())
        elif isinstance(error, HarnessError):
            ours.set_exception(error)
        else:
            ours.set_exception(NetworkError(f"the shard on {worker} failed: {type(error).__name__}: {error}"))

    theirs.add_done_callback(follow)
    return ours
