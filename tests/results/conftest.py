"""A small run whose truth is known by hand: every latency is chosen here, nothing is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from harness.load.records import ClientStats, Outcome, RequestRecord, StageResult
from harness.plan.cells import Cell
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, config_sha256, write_records

CONFIG = b"name: synthetic\n"
CLIENT = ClientStats(
    clock="kernel",
    cpu_s=1.0,
    cpu_share=0.1,
    loop_lag_p99_s=0.0002,
    reads=1000,
    kernel_reads=1000,
    coalesced_read_share=0.0,
    connections_opened=8,
)


def make_record(
    index: int,
    *,
    scheduled_s: float,
    ttft_s: float = 0.1,
    tpot_s: float = 0.02,
    tokens: int = 11,
    outcome: Outcome = Outcome.SUCCEEDED,
) -> RequestRecord:
    """One request sent when scheduled; a failed one got no token."""
    record = RequestRecord(
        index=index,
        scheduled_s=scheduled_s,
        sent_s=scheduled_s,
        connected_s=scheduled_s,
        input_tokens_asked=64,
        output_tokens_asked=tokens,
        outcome=outcome,
        status=200,
        kernel_reads=tokens + 2,
    )
    if outcome is not Outcome.SUCCEEDED:
        record.ended_s = scheduled_s + ttft_s
        record.status = 503
        record.detail = "no server"
        return record
    times = scheduled_s + ttft_s + tpot_s * np.arange(tokens)
    record.headers_s = record.role_s = scheduled_s + ttft_s / 2
    record.chunk_times_s = times
    record.chunk_tokens = np.ones(tokens, np.int32)
    record.tokens_assumed = False
    record.first_token_s, record.last_token_s = float(times[0]), float(times[-1])
    record.done_s = record.ended_s = float(times[-1]) + 0.001
    record.prompt_tokens, record.completion_tokens = 64, tokens
    record.finish_reason = "length"
    return record


def make_stage(
    *,
    label: str = "c8",
    concurrency: int = 8,
    requests: int = 200,
    ttft_s: float = 0.1,
    tpot_s: float = 0.02,
    tokens: int = 11,
    failures: int = 0,
    jitter: float = 0.0,
    seed: int = 1,
    interrupted: bool = False,
) -> StageResult:
    """A closed loop of ``concurrency`` slots; with no jitter every request takes ttft + (tokens - 1) x tpot.

    The last ``failures`` requests fail with a 503. Jitter scales both latencies by a seeded log-normal.
    """
    rng = np.random.default_rng(seed)
    factors = np.exp(rng.normal(0.0, jitter, (requests, 2))) if jitter else np.ones((requests, 2))
    slot_free = np.zeros(concurrency)
    records = []
    for index in range(requests):
        slot = int(np.argmin(slot_free))
        failed = index >= requests - failures
        record = make_record(
            index,
            scheduled_s=float(slot_free[slot]),
            ttft_s=ttft_s * float(factors[index, 0]),
            tpot_s=tpot_s * float(factors[index, 1]),
            tokens=tokens,
            outcome=Outcome.HTTP_5XX if failed else Outcome.SUCCEEDED,
        )
        assert record.ended_s is not None
        slot_free[slot] = record.ended_s + 0.0005
        records.append(record)
    return StageResult(
        label=label,
        stage={"kind": "closed-loop", "concurrency": concurrency},
        records=records,
        window_start_s=0.0,
        window_end_s=float(slot_free.min()),
        started_at_unix=1_790_000_000.0,
        client=CLIENT,
        probe={"usage": True, "cache_salt": True},
        interrupted=interrupted,
    )


def make_cell(
    gpu_type: str, gpu_count: int = 1, *, parameters: Sequence[str] = (), name: str = "base"
) -> Cell:
    return Cell(
        gpu_type=gpu_type,
        gpu_count=gpu_count,
        replicas=1,
        engine_version="0.15.1",
        model="Qwen/Qwen2.5-7B-Instruct",
        parameters=tuple(parameters),
        parameter_set=name,
        axes={"gpu-type": gpu_type, "gpu-count": str(gpu_count), "parameters": name},
    )


# TTFT and TPOT of each cell at concurrency 8; at 32 they are twice that. Slower, faster, refused, failed, skipped.
CELLS = {
    "slow": make_cell("gpua5000"),
    "fast": make_cell("gpurtx6000pro"),
    "refused": make_cell("gpu3080ti", name="wide", parameters=["--max-num-seqs=-1"]),
    "failed": make_cell("gpu3080ti"),
    "skipped": make_cell("gpu3", 2),
}
LATENCY = {"slow": (0.2, 0.04), "fast": (0.1, 0.02)}


def build_run(path: Path, *, simulated: bool = True, repeats: int = 1, finished: bool = True) -> RunFolder:
    """The run above on disk: two cells measured at two levels, one refused, one failed, one skipped."""
    resolved = Resolved(
        name="synthetic",
        question="which GPU is faster?",
        started_at="2026-11-23T16:00:00Z",
        simulated=simulated,
        deployer="exoscale",
        zone="at-vie-2",
        seed=7,
        slo="ttft_p95<=0.3s,tpot_p95<=50ms",
        workload={"input-tokens": 64, "output-tokens": 11},
        load=({"concurrency": 8}, {"concurrency": 32}),
        cells=tuple(CELLS.values()),
        repeats=repeats,
        config_sha256=config_sha256(CONFIG),
    )
    folder, journal = RunFolder.create(path, config=CONFIG, resolved=resolved)
    with journal:
        journal.append("sweep-started")
        journal.append(
            "cell-refused",
            run_id=f"{CELLS['refused'].id}-r0",
            data={"reason": "--max-num-seqs must be 1 or more", "diagnostics": ["error[out-of-range]"]},
        )
        for repeat in range(repeats):
            for name in ("slow", "fast"):
                run_id = f"{CELLS[name].id}-r{repeat}"
                journal.append(
                    "create-intended", run_id=run_id, data={"name": name, "cell_id": CELLS[name].id}
                )
                journal.append("created", run_id=run_id, data={"deployment_id": name, "operation_id": "1"})
                journal.append("ready", run_id=run_id, data={"time_to_ready_s": 90.0, "url": "http://x/v1"})
                for point, factor in enumerate((1, 2)):
                    ttft_s, tpot_s = LATENCY[name]
                    stage = make_stage(
                        label=f"c{8 * 4**point}",
                        concurrency=8 * 4**point,
                        ttft_s=ttft_s * factor,
                        tpot_s=tpot_s * factor,
                        requests=240,
                        failures=2 if (name, point) == ("slow", 1) else 0,
                        jitter=0.05,
                        seed=repeat * 10 + point,
                    )
                    target = folder.records_path(run_id, point)
                    metadata = {
                        "run_id": run_id, "cell_id": CELLS[name].id, "repeat": repeat, "point": point,
                        "simulated": simulated,
                    }  # fmt: skip
                    write_records(target, stage, metadata=metadata)
                    journal.append(
                        "point-finished",
                        run_id=run_id,
                        data={"point": point, "file": f"records/{target.name}"},
                    )
                journal.append("measured", run_id=run_id)
                journal.append("deleted", run_id=run_id)
        run_id = f"{CELLS['failed'].id}-r0"
        journal.append("create-intended", run_id=run_id, data={"name": "f", "cell_id": CELLS["failed"].id})
        journal.append("created", run_id=run_id, data={"deployment_id": "f", "operation_id": "2"})
        journal.append(
            "failed",
            run_id=run_id,
            data={"cause": "out-of-memory", "detail": "No available memory", "phase": "provisioning"},
        )
        journal.append("deleted", run_id=run_id)
        if finished:
            journal.append("skipped", run_id=f"{CELLS['skipped'].id}-r0", data={"reason": "no capacity"})
            journal.append("sweep-finished", data={"counts": {"measured": 2}})
        else:
            journal.append("sweep-interrupted", data={"signal": "SIGINT"})
    return folder


@pytest.fixture(name="run_folder")
def run_folder_fixture(tmp_path: Path) -> RunFolder:
    return build_run(tmp_path / "synthetic")


@pytest.fixture(name="stage_maker", scope="session")
def stage_maker_fixture() -> Callable[..., StageResult]:
    return make_stage


@pytest.fixture(name="run_builder", scope="session")
def run_builder_fixture() -> Callable[..., RunFolder]:
    return build_run


@pytest.fixture(name="cells", scope="session")
def cells_fixture() -> dict[str, Cell]:
    return CELLS
