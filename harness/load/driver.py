"""Run one stage against one endpoint on the running event loop: warm-up, window, drain.

The driver decides when requests go and keeps what became of them; it reads nothing of a response until it has ended.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import secrets
from collections.abc import Awaitable, Callable

import numpy as np

from harness.load.arrivals import ClosedLoop
from harness.load.chores import Chores
from harness.load.columns import Columns, Records, in_order_of_schedule
from harness.load.job import Shard, stage_part
from harness.load.merge import cut_at
from harness.load.monitor import ClientWatch, Progress, client_stats
from harness.load.pool import check_open_files, raise_open_file_limit
from harness.load.probe import Probe, check_room
from harness.load.records import Endpoint, StageResult
from harness.load.response import NS_PER_S
from harness.load.source import RequestSource
from harness.load.stage import Stage
from harness.load.supply import Supply
from harness.load.surroundings import REAL, Connections, Surroundings
from harness.load.talk import Talk
from harness.load.target import resolve
from harness.load.timetable import open_loop_times
from harness.load.tokenizer import token_counter
from harness.load.workload import Workload

OnProgress = Callable[[Progress], None]
Start = Callable[[], Awaitable[int]]
WHOLE = Shard()
PROGRESS_S = 0.25
OUTLOOK_S = 0.25
LONGEST_OPENING_S = 10.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.05, 1.0


async def run_stage(
    endpoint: Endpoint,
    stage: Stage,
    workload: Workload,
    *,
    probe: Probe,
    seed: int = 0,
    cache_salt: str | None = None,
    on_progress: OnProgress | None = None,
    shard: Shard = WHOLE,
    start: Start | None = None,
    finish: asyncio.Event | None = None,
    surroundings: Surroundings = REAL,
) -> StageResult:
    """Measure one load level, or one part of it.

    ``cache_salt`` None draws a fresh one, so that no two stages share a prefix cache. ``start`` is awaited when
    all is prepared and gives the stage's origin on the monotonic clock; without it the stage begins at once. Once
    ``finish`` is set the stage ends with what it has, marked as interrupted. Failed
    requests are records; only an unusable URL, an unknown host or lengths the model has no room for raise
    (UsageError, NetworkError).
    """
    check_room(workload, probe)
    check_open_files(stage, limit=raise_open_file_limit())
    target = await resolve(endpoint.url, ca_file=endpoint.ca_file)
    source = RequestSource(
        workload,
        probe.calibration,
        seed,
        cache_salt or secrets.token_hex(8),
        salted=probe.cache_salt,
        count=None if workload.tokenizer is None else token_counter(workload.tokenizer),
    )
    chores = Chores()
    supply = Supply(source, target, form=probe.form(workload), key=endpoint.key, chores=chores, shard=shard)
    part, pool = stage_part(stage, shard), surroundings.connect(target)
    talk = Talk(part, supply, pool, chores, streamed=workload.streamed, now_ns=surroundings.now_ns)
    run = _StageRun(part, workload, supply, pool, chores, talk, surroundings)
    result = await run.measure(
        on_progress, start=start, finish=finish, times=part_times(stage, shard, seed=seed)
    )
    result.probe = probe.to_json()
    return result


Timetable = tuple[list[float], list[bool]]


def part_times(stage: Stage, shard: Shard, *, seed: int) -> Timetable | None:
    """An open loop's times of one part, and which of them are warm-up; None for a closed loop."""
    if stage.is_closed_loop:
        return None
    times_s, warmups = open_loop_times(stage, rng=np.random.Generator(np.random.PCG64([seed, 0])))
    # Warm-up and measured requests are dealt out apart, as their numbers are.
    warm, measured = times_s[:warmups], times_s[warmups:]
    own_warm, own = warm[shard.number :: shard.of], measured[shard.number :: shard.of]
    return [*own_warm.tolist(), *own.tolist()], [True] * len(own_warm) + [False] * len(own)


class _StageRun:
    """One stage while it runs."""

    def __init__(
        self,
        stage: Stage,
        workload: Workload,
        supply: Supply,
        pool: Connections,
        chores: Chores,
        talk: Talk,
        surroundings: Surroundings,
    ) -> None:
        self.stage, self.workload, self.supply, self.pool = stage, workload, supply, pool
        self.chores, self.talk = chores, talk
        self.surroundings, self.now_ns = surroundings, surroundings.now_ns
        # In the order of their beginning, so that they are also cancelled in it.
        self.tasks: dict[asyncio.Task[None], None] = {}
        self.issued = 0
        self.phase = "warm-up" if stage.warmup_s else "measure"
        self.ended_early: str | None = None
        self.interrupted = False
        self._driving = asyncio.Event()
        self._deadline: asyncio.Timeout | None = None
        self.window_start_s = stage.warmup_s
        self.window_end_s = float("inf")
        if stage.duration_s is not None:
            self.window_end_s = stage.warmup_s + stage.duration_s

    @property
    def origin_ns(self) -> int:
        """The stage's origin on the monotonic clock."""
        return self.talk.origin_ns

    def now_s(self) -> float:
        """Seconds since the stage's origin."""
        return (self.now_ns() - self.origin_ns) / NS_PER_S

    async def measure(
        self,
        on_progress: OnProgress | None,
        *,
        start: Start | None,
        finish: asyncio.Event | None,
        times: Timetable | None,
    ) -> StageResult:
        """The whole stage."""
        arrivals = self.stage.arrivals
        width = arrivals.concurrency if isinstance(arrivals, ClosedLoop) else 32
        self.supply.prepare(width, warmup=self.stage.warmup_s > 0)
        self.supply.prepare(width, warmup=False)
        # Connections opened beforehand keep the opening burst of handshakes out of the first requests.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(self.stage.timeout_s, LONGEST_OPENING_S)):
                await self.pool.warm(width)
        self.talk.origin_ns = await start() if start is not None else self.now_ns()
        # From here on: waiting for other shards would make a busy client look idle.
        watch = ClientWatch(virtual=self.surroundings.virtual)
        started_at_unix = self.surroundings.unix_s() + (self.origin_ns - self.now_ns()) / NS_PER_S
        reporter = asyncio.ensure_future(self._report(on_progress)) if on_progress else None
        watcher = asyncio.ensure_future(self._watch(times)) if self.stage.early_stop else None
        finisher = None if finish is None else asyncio.ensure_future(self._finish_when(finish))
        try:
            await self._drive(times)
            await self._drain()
        finally:
            for task in filter(None, (reporter, watcher, finisher)):
                task.cancel()
            await self._cancel_all()
            watch.stop()
            self.chores.finish()
            self.pool.close()
            self.talk.close()
        columns = self._close_window()
        stats = client_stats(
            columns,
            watch,
            connections_opened=self.pool.opened,
            queued=self.talk.queued,
        )
        return StageResult(
            label=self.stage.label,
            stage={**self.stage.to_json(), "workload": self.workload.described()},
            records=Records(in_order_of_schedule([columns])),
            window_start_s=self.window_start_s,
            window_end_s=self.window_end_s,
            started_at_unix=started_at_unix,
            client=stats,
            ended_early=self.ended_early,
            interrupted=self.interrupted,
        )

    # When

    async def _drive(self, times: Timetable | None) -> None:
        """Send until the window ends, by time or by number; returns with requests still in flight."""
        arrivals = self.stage.arrivals
        if isinstance(arrivals, ClosedLoop):
            await self.talk.alarm.wait_until(self.origin_ns)
            users = [asyncio.ensure_future(self._user()) for _ in range(arrivals.concurrency)]
            self.tasks.update(dict.fromkeys(users))
            await self._until_window_end(asyncio.wait(users))
        elif times is not None:
            await self._until_window_end(self._open_loop(times))

    async def _until_window_end(self, work: Awaitable[object]) -> None:
        remaining_s = self.window_end_s - self.now_s()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if remaining_s == float("inf") else remaining_s) as deadline:
                self._deadline = deadline
                self._driving.set()
                await work
        self._deadline = None

    async def _watch(self, times: Timetable | None) -> None:
        """End the window once nothing can come of it any more."""
        due_s = [] if times is None else times[0]
        if times is not None:
            self.talk.outlook.due_s = [time for time, warmup in zip(*times, strict=True) if not warmup]
        while True:
            await asyncio.sleep(OUTLOOK_S)
            now_s = self.now_s()
            # Of an open loop also those that are due and wait for the limit on requests in flight.
            unsent = max(bisect.bisect(due_s, now_s) - self.talk.sent, 0)
            why = self.talk.outlook.verdict(now_s, in_flight=self.talk.tally.in_flight + unsent)
            if why is not None and self._end_window(why):
                return

    async def _finish_when(self, finish: asyncio.Event) -> None:
        """End the window when told to; one that is over stays whole."""
        await finish.wait()
        await self._driving.wait()
        self.interrupted = self._end_window("interrupted")

    def _end_window(self, why: str) -> bool:
        """End the window now, before its time; False when it is over. One that has not begun is empty."""
        now_s = self.now_s()
        if self._deadline is None or now_s >= self.window_end_s:
            return False
        self.ended_early, self.window_end_s = why, max(now_s, self.window_start_s)
        self._deadline.reschedule(asyncio.get_running_loop().time())
        return True

    async def _user(self) -> None:
        """One closed-loop user: the next request when the last one ended, with a pause after failures.

        A conversation of the warm-up is left when the window starts, a measured one when it ends.
        """
        free_ns = self.origin_ns
        backoff_s = FIRST_BACKOFF_S
        while True:
            warmup = self.now_s() < self.window_start_s
            if not warmup and not self._may_issue():
                return
            until_ns = self._instant(self.window_start_s if warmup else self.window_end_s)
            if await self.talk.converse(free_ns, warmup=warmup, until_ns=until_ns):
                backoff_s = FIRST_BACKOFF_S
            else:
                await asyncio.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)
            free_ns = self.now_ns()

    def _instant(self, seconds: float) -> int | None:
        """Seconds from the origin on the monotonic clock; None for never."""
        return None if seconds == float("inf") else self.origin_ns + round(seconds * NS_PER_S)

    def _may_issue(self) -> bool:
        """Count one more measured request or conversation, unless the stage has had its number or its time."""
        if self.now_s() >= self.window_end_s:
            return False
        if self.stage.requests is not None and self.issued >= self.stage.requests:
            return False
        self.issued += 1
        return True

    async def _open_loop(self, times: Timetable) -> None:
        """Send on schedule; with a number of requests, returns when all of them ended."""
        until_ns = self._instant(self.window_end_s)
        for time_s, warmup in zip(*times, strict=True):
            scheduled_ns = self.origin_ns + round(time_s * NS_PER_S)
            await self.talk.alarm.wait_until(scheduled_ns)
            await self.talk.admit()
            task = asyncio.ensure_future(self._scheduled(scheduled_ns, warmup=warmup, until_ns=until_ns))
            self.tasks[task] = None
            task.add_done_callback(self.tasks.pop)
        if self.stage.requests is not None and self.tasks:
            await asyncio.wait(set(self.tasks))
        elif self.window_end_s != float("inf"):
            await asyncio.sleep(max(self.window_end_s - self.now_s(), 0))

    async def _scheduled(self, scheduled_ns: int, *, warmup: bool, until_ns: int | None) -> None:
        await self.talk.converse(scheduled_ns, warmup=warmup, until_ns=until_ns)

    # The end

    async def _drain(self) -> None:
        """Let requests in flight end for a while: their tokens are then counted on both sides.

        Not when the level was lost: its backlog would not end in that time.
        """
        self.phase = "drain"
        pending = {task for task in self.tasks if not task.done()}
        if pending and self.stage.drain_s > 0 and self.ended_early is None:
            await asyncio.wait(pending, timeout=self.stage.drain_s)

    async def _cancel_all(self) -> None:
        pending = [task for task in self.tasks if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)

    def _close_window(self) -> Columns:
        """Fix the window's end, and call unfinished what ended after it."""
        columns = self.talk.log.columns()
        ends = columns.floats["ended_s"][~columns.flags["warmup"]]
        if self.stage.requests is not None and len(ends):
            self.window_end_s = min(self.window_end_s, float(ends.max()))
        if self.window_end_s == float("inf"):
            self.window_end_s = self.now_s()
        return cut_at(columns, self.window_end_s)

    async def _report(self, on_progress: OnProgress) -> None:
        total_s = None if self.window_end_s == float("inf") else self.window_end_s
        while True:
            if self.phase == "warm-up" and self.now_s() >= self.window_start_s:
                self.phase = "measure"
            on_progress(self.talk.tally.progress(phase=self.phase, elapsed_s=self.now_s(), total_s=total_s))
            await asyncio.sleep(PROGRESS_S)
