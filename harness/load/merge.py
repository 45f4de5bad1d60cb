"""One stage out of its parts: records put together, never averages. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.load.columns import Columns, Records, columns_of, in_order_of_schedule
from harness.load.monitor import Progress
from harness.load.records import ClientStats, Outcome, StageResult
from harness.load.stage import Stage


def merge_results(parts: Sequence[StageResult], *, stage: Stage) -> StageResult:
    """The parts of ``stage``, which began at one instant on one clock, as one result.

    It ends where the first part that gave the level up did.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    lost = min((part for part in parts if part.ended_early), key=lambda part: part.window_end_s, default=None)
    end_s = max(part.window_end_s for part in parts) if lost is None else lost.window_end_s
    columns = in_order_of_schedule([columns_of(part.records) for part in parts])
    workload = {key: value for key, value in first.stage.items() if key == "workload"}
    return replace(
        first,
        label=stage.label,
        stage={**stage.to_json(), **workload},
        records=Records(cut_at(columns, end_s)),
        window_end_s=end_s,
        ended_early=None if lost is None else lost.ended_early,
        client=merge_clients([part.client for part in parts]),
        interrupted=any(part.interrupted for part in parts),
    )


def cut_at(columns: Columns, end_s: float) -> Columns:
    """What ended after the window called unfinished; the detail keeps what became of it."""
    late = columns.floats["ended_s"] > end_s
    outcomes, details = columns.outcomes.copy(), list(columns.details)
    for row in np.flatnonzero(late).tolist():
        details[row] = details[row] or f"{outcomes[row]} in the drain"
    outcomes[late] = str(Outcome.UNFINISHED)
    return replace(columns, outcomes=outcomes, details=details)


def merge_clients(clients: Sequence[ClientStats]) -> ClientStats:
    """Sums where work adds up; the worst where one process is enough to spoil the figures."""
    reads = sum(client.reads for client in clients)
    coalesced = sum(client.coalesced_read_share * client.reads for client in clients)
    return ClientStats(
        clock="kernel" if all(client.clock == "kernel" for client in clients) else "user",
        cpu_s=sum(client.cpu_s for client in clients),
        cpu_share=max(client.cpu_share for client in clients),
        loop_lag_p99_s=max(client.loop_lag_p99_s for client in clients),
        reads=reads,
        kernel_reads=sum(client.kernel_reads for client in clients),
        coalesced_read_share=coalesced / reads if reads else 0.0,
        connections_opened=sum(client.connections_opened for client in clients),
        processes=sum(client.processes for client in clients),
        queued=sum(client.queued for client in clients),
        retries=sum(client.retries for client in clients),
    )


def merge_progress(parts: Mapping[int, Progress]) -> Progress:
    """The latest of each part as one: sums of counts and rates, means of the medians that are known."""
    latest = list(parts.values())
    failures: Counter[str] = Counter()
    for part in latest:
        failures.update(part.failures)
    return Progress(
        phase=latest[-1].phase,
        elapsed_s=max(part.elapsed_s for part in latest),
        total_s=latest[-1].total_s,
        in_flight=sum(part.in_flight for part in latest),
        succeeded=sum(part.succeeded for part in latest),
        failed=sum(part.failed for part in latest),
        requests_req_s=sum(part.requests_req_s for part in latest),
        output_tok_s=sum(part.output_tok_s for part in latest),
        ttft_s=_mean([part.ttft_s for part in latest if part.ttft_s is not None]),
        tpot_s=_mean([part.tpot_s for part in latest if part.tpot_s is not None]),
        failures=dict(failures),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
