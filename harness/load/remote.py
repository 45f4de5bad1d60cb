"""What a cluster's worker runs: a shard in a load process beside it, and what the shard's session asks of it.

The worker's own threads and event loop do nothing for the measurement but wait. A shard ends when its session says so,
when the scheduler no longer wants its task (the session's process is gone), and when the worker closes, as it does
without its scheduler.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any

from distributed import Status, get_worker

from harness.load.child import Child
from harness.load.job import ShardTask
from harness.load.pipe import PROGRESS

# One topic for all runs: the scheduler keeps a bounded number of events for each topic, and forgets none of them.
TOPIC = "harness-load"
BOARD = "harness-load"
LOOK_EVERY_S = 0.2
# More of a shard's progress than this would be traffic without a reader.
PROGRESS_EVERY_S = 0.9
WANTED = ("executing", "long-running")
OPEN = (Status.running, Status.paused)


def run_shard(task: ShardTask, run: str) -> bytearray:
    """Run a shard of ``run``, a name of the session's choice; its result, empty when it was ended before."""
    worker = get_worker()
    teller = _Teller(worker, run, task.shard.number)
    child = Child(teller.tell)
    board = worker.extensions.setdefault(BOARD, {})
    board[run, task.shard.number] = child
    over = threading.Event()
    key = worker.get_current_task()
    threading.Thread(target=_watch, args=(worker, key, child, over), daemon=True).start()
    try:
        return child.run(task.content)
    except CancelledError:
        return bytearray()
    finally:
        over.set()
        board.pop((run, task.shard.number), None)


class _Teller:
    """Passes a shard's words on to its session, by way of the scheduler."""

    def __init__(self, worker: Any, run: str, number: int) -> None:
        self._worker, self._run, self._number = worker, run, number
        self._last_s = 0.0

    def tell(self, kind: int, content: bytes) -> None:
        now_s = time.monotonic()
        if kind == PROGRESS and now_s - self._last_s < PROGRESS_EVERY_S:
            return
        self._last_s = now_s
        words = {"run": self._run, "shard": self._number, "kind": kind, "content": content.decode()}
        self._worker.log_event(TOPIC, words)


def _watch(worker: Any, key: str, child: Child, over: threading.Event) -> None:
    """End a shard whose task the scheduler has taken back, or whose worker closes.

    A thread that runs cannot be told otherwise, and a worker waits half a minute for its threads before it ends.
    """
    while not over.wait(LOOK_EVERY_S):
        task = worker.state.tasks.get(key)
        if task is None or task.state not in WANTED or worker.status not in OPEN:
            child.stop()
            return


def begin_shards(run: str, starts_ns: Mapping[int, int], dask_worker: Any) -> None:
    """Have this worker's shards of ``run`` begin at the instants of its own monotonic clock."""
    for (name, number), child in list(dask_worker.extensions.get(BOARD, {}).items()):
        if name == run:
            child.begin(starts_ns[number])


def finish_shards(run: str, dask_worker: Any) -> None:
    """Have this worker's shards of ``run`` end now with what they have."""
    for (name, _), child in list(dask_worker.extensions.get(BOARD, {}).items()):
        if name == run:
            child.finish()


def end_shards(run: str, dask_worker: Any) -> int:
    """End this worker's shards of ``run``; how many are not over yet."""
    left = [child for (name, _), child in list(dask_worker.extensions.get(BOARD, {}).items()) if name == run]
    for child in left:
        child.stop()
    return len(left)


def read_clocks() -> tuple[int, int]:
    """This host's monotonic and wall clock, in nanoseconds."""
    return time.monotonic_ns(), time.time_ns()
