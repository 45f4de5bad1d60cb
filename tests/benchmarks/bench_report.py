"""Time and memory of ``harness report`` on large runs: 10,000 requests, and 1,000,000 requests of 100 chunks."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from harness.load.columns import FLAGS, FLOATS, INTEGERS, Columns
from harness.load.records import ClientStats
from harness.plan.cells import Cell
from harness.results.parquet import write_columns
from harness.results.point import Point, PointMeta
from harness.results.resolved import Resolved
from harness.results.store import RunFolder

CHUNKS = 100
# (cells, load levels, requests a point, limit in seconds, limit in GB)
SIZES = ((5, 4, 500, 5.0, 2.0), (10, 5, 20_000, 60.0, 2.0))
CLIENT = ClientStats("kernel", 1.0, 0.1, 0.0, 10, 10, 0.0, 1)


def make_point(meta: PointMeta, *, requests: int, rng: np.random.Generator) -> Point:
    """Requests sent evenly over the window, TTFT about 0.2 s, chunks about 20 ms apart."""
    sent = np.sort(rng.uniform(meta.window_start_s, meta.window_end_s - 4, requests))
    gaps = rng.exponential(0.02, (requests, CHUNKS))
    gaps[:, 0] = rng.lognormal(-1.6, 0.3, requests)
    times = sent[:, None] + np.cumsum(gaps, axis=1)
    floats = {name: np.full(requests, np.nan) for name in FLOATS}
    floats |= {
        "scheduled_s": sent,
        "sent_s": sent,
        "first_token_s": times[:, 0],
        "last_token_s": times[:, -1],
    }
    floats |= {"done_s": times[:, -1], "ended_s": times[:, -1]}
    integers = {name: np.full(requests, -1) for name in INTEGERS}
    integers |= {"index": np.arange(requests), "completion_tokens": np.full(requests, CHUNKS)}
    return Point(
        meta,
        Columns(
            floats=floats,
            integers=integers,
            flags={name: np.zeros(requests, np.bool_) for name in FLAGS},
            outcomes=np.full(requests, "succeeded"),
            details=[""] * requests,
            finish_reasons=["length"] * requests,
            offsets=np.arange(requests + 1) * CHUNKS,
            chunk_times_s=times.ravel(),
            chunk_tokens=np.ones(requests * CHUNKS, np.int32),
        ),
    )


def build(path: Path, *, cells: int, levels: int, requests: int) -> None:
    """A finished run of that size; one point in memory at a time."""
    matrix = tuple(
        Cell("gpua5000", 1, 1, "0.15.1", "m", (f"--max-num-seqs={n}",), f"seqs-{n}") for n in range(cells)
    )
    resolved = Resolved(
        name="bench", started_at="2026-11-23T16:00:00Z", simulated=True, deployer="exoscale", cells=matrix,
        slo="ttft_p95<=1s,tpot_p95<=60ms",
    )  # fmt: skip
    folder, journal = RunFolder.create(path, config=b"", resolved=resolved)
    rng = np.random.default_rng(1)
    with journal:
        for cell in matrix:
            for level in range(levels):
                stage = {"kind": "closed-loop", "concurrency": 2**level}
                meta = PointMeta(
                    f"{cell.id}-r0",
                    cell.id,
                    0,
                    level,
                    True,
                    f"c{2**level}",
                    stage,
                    0.0,
                    300.0,
                    1.79e9,
                    CLIENT,
                )
                point = make_point(meta, requests=requests, rng=rng)
                write_columns(folder.records_path(meta.run_id, level), point)
            journal.append("measured", run_id=f"{cell.id}-r0")
        journal.append("sweep-finished")


def main() -> None:
    """Build each run and report it in a process of its own; print seconds, peak memory and the limits."""
    for cells, levels, requests, limit_s, limit_gb in SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "run"
            build(path, cells=cells, levels=levels, requests=requests)
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "harness", "report", str(path)], check=True, capture_output=True
            )
            took_s = time.perf_counter() - began
            peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
            total = cells * levels * requests
            print(
                f"report of {total:>9,} requests x {CHUNKS} chunks in {cells * levels} points: {took_s:5.1f} s "
                f"(at most {limit_s:g}), {peak_gb:.2f} GB (at most {limit_gb:g})"
            )


if __name__ == "__main__":
    main()
