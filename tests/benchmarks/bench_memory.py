"""Memory of one long load test: 10 million chunks through ``harness load``, reports and records included.

From end to end: a server on this machine sends every chunk over loopback, as fast as both can. What is summed is the
resident memory of the command and its load processes (not of the server), looked at ten times a second; the pages that
processes share are counted in each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.benchmarks.reference import Timing, reference_server

CHUNKS = int(os.environ.get("HARNESS_BENCH_CHUNKS", "10000000"))
STREAMS, TOKENS = 256, 250
LIMIT_GB = 1.0
EVERY_S = 0.1
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Watch(threading.Thread):
    """Follows the resident bytes of a process and its descendants until ``stop``."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self.peak_bytes = 0
        self.most_processes = 0
        self.at_peak: list[int] = []

    def run(self) -> None:
        while not self._over.wait(EVERY_S):
            sizes = [resident_bytes(pid) for pid in family(self._pid)]
            self.most_processes = max(self.most_processes, len(sizes))
            if sum(sizes) > self.peak_bytes:
                self.peak_bytes, self.at_peak = sum(sizes), sizes

    def stop(self) -> None:
        self._over.set()
        self.join()


def family(pid: int) -> list[int]:
    """A process and all that come from it."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in children:
            found += family(int(child))
    return found


def resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def load(url: str, folder: Path, *, requests: int, processes: int) -> Watch:
    """One run of the command; its memory."""
    arguments = [
        "--concurrency", str(STREAMS), "--requests", str(requests), "--output-tokens", str(TOKENS), "--warmup", "0",
        "--processes", str(processes), "--json", str(folder / "load.json"), "--records", str(folder), "--definitions",
    ]  # fmt: skip
    command = subprocess.Popen(
        [sys.executable, "-m", "harness", "load", url, *arguments], stdout=subprocess.DEVNULL
    )
    watch = Watch(command.pid)
    watch.start()
    try:
        command.wait()
    finally:
        command.kill()
        watch.stop()
    return watch


def main() -> None:
    """Print the peak beside its bar."""
    if not Path("/proc/self/statm").exists():
        print("memory of a long load test: needs /proc")
        return
    timing = Timing(ttft_s=0.002, itl_s=0.005, tokens=TOKENS, at_once=10)
    requests = CHUNKS // TOKENS
    with reference_server(timing) as (url, language), tempfile.TemporaryDirectory() as name:
        for processes in (1, 2):
            began = time.perf_counter()
            watch = load(url, Path(name), requests=requests, processes=processes)
            took_s = time.perf_counter() - began
            [stage] = json.loads((Path(name) / "load.json").read_text())["stages"]
            records = (Path(name) / "stage-1.parquet").stat().st_size
            print(
                f"{stage['itl_ms']['count'] + stage['requests']['succeeded']:,} chunks of {requests:,} requests from a "
                f"server in {language}, {processes} load process(es), {took_s:.0f} s: peak RSS "
                f"{watch.peak_bytes / 1e9:.2f} GB of {watch.most_processes} processes (bar: {LIMIT_GB:g}), "
                f"at it {'+'.join(f'{size / 1e6:.0f}' for size in watch.at_peak)} MB; records {records / 1e6:.0f} MB"
            )


if __name__ == "__main__":
    main()
