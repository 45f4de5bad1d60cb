"""Which runs can share a deployment, and in which order they change it least. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harness.sweep.deployers import Run


def group_runs(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that can share a deployment (same GPUs, same model) together, in the order of fewest changes.

    Within a repeat the replicas change last (scaling is a call of its own), then the version; every other repeat
    goes backwards, so that two repeats meet at the same cell.
    """
    groups: dict[tuple[str, int, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.cell.gpu_type, run.cell.gpu_count, run.cell.model), []).append(run)
    ordered = []
    for group in groups.values():
        by_repeat: dict[int, list[Run]] = {}
        for run in sorted(
            group, key=lambda run: (run.cell.replicas, run.cell.engine_version, run.cell.parameters)
        ):
            by_repeat.setdefault(run.repeat, []).append(run)
        ordered.append(
            [run for repeat in sorted(by_repeat) for run in by_repeat[repeat][:: -1 if repeat % 2 else 1]]
        )
    return ordered
