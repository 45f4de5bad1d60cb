"""One run of ``harness load``: which level comes next, measuring it, keeping what came out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness.cli.loading import LoadView, Measured
from harness.errors import UsageError
from harness.load.crew import Crew, LocalCrew
from harness.load.definitions import variants
from harness.load.levels import Course, Level, Search
from harness.load.metrics import LoadMetrics, summarise
from harness.load.probe import probe_endpoint
from harness.load.records import Endpoint
from harness.load.scrape import note_growth, read_metrics
from harness.load.search import MOST_STEPS
from harness.load.server_side import server_side
from harness.load.session import LoadJob, measure_with
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.load.workload import Workload
from harness.results.store import write_records


def levels_for(
    find: str | None,
    stages: Sequence[Stage],
    slo: Slo | None,
    *,
    early_stop: bool | None,
    most_steps: int = MOST_STEPS,
) -> list[Level]:
    """The ladder, or the search that ``--find`` names.

    Lost levels end early where an SLO is given or something is searched for, unless ``early_stop`` says otherwise.
    """
    stops = (slo is not None or find is not None) if early_stop is None else early_stop
    bounds = None if slo is None else str(slo)
    stages = [replace(stage, early_stop=stops, slo=bounds if stops else None) for stage in stages]
    if find is None:
        return list(stages)
    if len(stages) != 1:
        raise UsageError("a search starts from one level, not several")
    return [Search(find, stages[0], slo, most_steps)]


def outcome_of(stage: Stage, metrics: LoadMetrics, *, number: int) -> str:
    """One line on a stage that is over: what a search goes by."""
    words = [f"{metrics.output_throughput_tok_s:.0f} tok/s"]
    if metrics.slo_met is not None:
        share = "" if metrics.attainment is None else f" ({metrics.attainment:.0%} of requests within it)"
        words.append(f"{'keeps' if metrics.slo_met else 'misses'} the SLO{share}")
    return f"[{number}] {stage.label}: {', '.join(words)}"


class Session:
    """One run of the command: ``measured`` grows by a stage at a time, ``skipped`` by those passed over and why.

    ``has_partial``: the last of the measured ones was cut off by Ctrl-C.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        workload: Workload,
        *,
        seed: int,
        processes: int | None,
        records_path: str | None,
        slo: Slo | None,
    ) -> None:
        self.endpoint, self.workload, self.seed, self.slo = endpoint, workload, seed, slo
        self.processes = processes
        self.crew: Crew = LocalCrew()
        self.records_path = None if records_path is None else Path(records_path)
        self.model = endpoint.model
        self.simulated = False
        self.measured: list[Measured] = []
        self.skipped: list[tuple[Stage, str]] = []
        self.interrupted = False
        self.has_partial = False
        self._finish = asyncio.Event()
        self._measuring = False

    def interrupt(self, task: asyncio.Task[Any]) -> None:
        """Ctrl-C: the stage under way ends with what it has; ``task`` when there is none, and the second time."""
        if self._finish.is_set() or not self._measuring:
            task.cancel()
        self.interrupted = True
        self._finish.set()

    async def run(self, course: Course, *, of: int | None) -> None:
        """Probe the endpoint, then measure level after level; ``of`` is their number, None when not known."""
        probe = await probe_endpoint(self.endpoint, workload=self.workload)
        self.model, self.simulated = probe.model, probe.simulated
        while not self.interrupted and (step := course.next_step()) is not None:
            stage = step.stage
            if step.skipped is not None:
                self.skipped.append((stage, step.skipped))
                continue
            number = step.number + 1
            job = LoadJob(
                endpoint=self.endpoint,
                stage=stage,
                workload=self.workload,
                probe=probe,
                seed=self.seed,
                processes=self.processes,
            )
            before = await read_metrics(self.endpoint)
            with LoadView() as view:
                view.begin(stage.label, number=number, of=of)
                self._measuring = True
                result = await measure_with(self.crew, job, on_progress=view.progress, finish=self._finish)
                self._measuring = False
            if result.interrupted and all(record.warmup for record in result.records):
                return  # nothing of it was measured
            note_growth(result, before, await read_metrics(self.endpoint) if before is not None else None)
            metrics = summarise(result, slo=self.slo)
            server = None if result.server_metrics is None else server_side(result.server_metrics)
            self.measured.append(Measured(stage, metrics, result.client, server, variants(result)))
            self.has_partial = result.interrupted
            if not result.interrupted:
                course.told(step, metrics)
                click.echo(outcome_of(step.stage, metrics, number=number), err=True)
            if self.records_path is not None:
                path = self.records_path / f"stage-{number}.parquet"
                write_records(path, result, metadata={"simulated": probe.simulated})
