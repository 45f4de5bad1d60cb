"""A dask scheduler and workers on loopback, as processes of their own: started for a test, stopped by their ids."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

START_WITHIN_S = 60.0


class Cluster:
    """``address`` is what ``--executor`` takes; ``workers`` are the processes; their logs lie in ``folder``."""

    def __init__(self, folder: Path, *, options: Sequence[str] = (), tls: bool = False) -> None:
        self.folder, self.options = folder, list(options)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"{'tls' if tls else 'dask'}://127.0.0.1:{port}"
        self.scheme = "tls" if tls else "tcp"
        self._scheduler_address = f"{self.scheme}://127.0.0.1:{port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start(
            "scheduler", ["--host", f"{self.scheme}://127.0.0.1", "--port", str(port)]
        )

    def add_worker(self, *, threads: int = 1, environment: Mapping[str, str] | None = None) -> None:
        """One more worker process."""
        arguments = [self._scheduler_address, "--nthreads", str(threads), "--no-nanny", "--host"]
        arguments += [f"{self.scheme}://127.0.0.1", "--local-directory", str(self.folder)]
        self.workers.append(self._start("worker", arguments, environment=environment))

    def _start(
        self, what: str, arguments: list[str], *, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            f"distributed.cli.dask_{what}",
            *arguments,
            *self.options,
            "--no-dashboard",
        ]
        with (self.folder / f"{what}-{len(self.workers)}.log").open("wb") as output:
            return subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def wait_for(self, workers: int) -> None:
        """Return when so many workers have registered."""
        end = time.monotonic() + START_WITHIN_S
        while self.logs.count("Registered to:") < workers:
            assert self.scheduler.poll() is None, self.logs
            assert time.monotonic() < end, self.logs
            time.sleep(0.05)

    @property
    def logs(self) -> str:
        """All that scheduler and workers have written."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def load_processes(self) -> set[int]:
        """The processes that the workers have started and that still live."""
        found: set[int] = set()
        for worker in self.workers:
            for path in Path(f"/proc/{worker.pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):  # a thread that ended meanwhile
                    found |= {int(pid) for pid in path.read_text(encoding="ascii").split()}
        return found

    def close(self) -> None:
        """End every process, without ceremony."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait(10)


@contextlib.contextmanager
def running(folder: Path, *, workers: int = 2, threads: int = 1, **options: Any) -> Iterator[Cluster]:
    """A scheduler with ``workers`` workers, gone with the block."""
    made = Cluster(folder, **options)
    try:
        for _ in range(workers):
            made.add_worker(threads=threads)
        made.wait_for(workers)
        yield made
    finally:
        made.close()
