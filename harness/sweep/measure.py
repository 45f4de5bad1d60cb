"""One run's load test: probe the endpoint, run each level in a process of its own, write each point as it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.load.levels import Course, Level, Step
from harness.load.metrics import summarise
from harness.load.monitor import Progress
from harness.load.probe import Probe, probe_endpoint
from harness.load.records import Endpoint, StageResult
from harness.load.scrape import note_growth, read_metrics
from harness.load.session import LoadJob, measure_in_process
from harness.load.slo import Slo
from harness.load.workload import Workload
from harness.results.figures import metrics_of
from harness.results.store import RunFolder, read_records, write_records
from harness.sweep.deployers import Ready, Run
from harness.sweep.lifecycle import Lifecycle

OnProgress = Callable[[str, int, Progress], None]


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What every run is loaded with. ``salt`` keeps this sweep's prompts apart from any other's in a shared cache.

    ``slo`` is the objective's text, by which levels are judged while the run goes on.
    """

    levels: Sequence[Level]
    workload: Workload
    seed: int
    salt: str
    slo: str | None = None


class ProbeEndpoint(Protocol):
    """Finds out what an endpoint supports."""

    async def __call__(self, endpoint: Endpoint, *, workload: Workload, salt: str) -> Probe: ...


class Drive(Protocol):
    """Measures one level."""

    async def __call__(self, job: LoadJob, *, on_progress: Callable[[Progress], None]) -> StageResult: ...


@dataclass(frozen=True, slots=True)
class Instruments:
    """What an endpoint is looked at and loaded with."""

    probe: ProbeEndpoint = probe_endpoint
    drive: Drive = measure_in_process
    read_metrics: Callable[[Endpoint], Awaitable[Mapping[str, float] | None]] = read_metrics


class Measurer:
    """Measures runs and writes their points; a point is finished once its file and its event are on disk."""

    def __init__(
        self,
        plan: LoadPlan,
        folder: RunFolder,
        lifecycle: Lifecycle,
        *,
        simulated: bool,
        on_progress: OnProgress = lambda run_id, point, progress: None,
        instruments: Instruments | None = None,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._lifecycle = lifecycle
        self._simulated = simulated
        self._on_progress = on_progress
        self._instruments = instruments or Instruments()

    async def __call__(self, run: Run, ready: Ready) -> None:
        """All levels of one run, in order; those on disk already are read, and decide what comes next as they did."""
        done = self._lifecycle.ledger(run.id).points
        salt = f"{self._plan.salt}/{run.id}"
        probe = await self._instruments.probe(ready.endpoint, workload=self._plan.workload, salt=salt)
        slo = None if self._plan.slo is None else Slo.parse(self._plan.slo)
        course, told = Course(self._plan.levels), 0
        while (step := course.next_step()) is not None:
            told = self._tell_findings(run, course, told)
            if step.skipped is not None:
                what = {"point": step.number, "label": step.stage.label, "reason": step.skipped}
                self._lifecycle.record(run.id, "level-skipped", **what)
            elif step.number in done:
                if step.stage.early_stop or step.searched:
                    path = self._folder.records_path(run.id, step.number)
                    course.told(step, metrics_of(read_records(path), slo=slo))
            else:
                result = await self._measure(run, ready, step, probe=probe, salt=salt)
                if step.stage.early_stop or step.searched:
                    course.told(step, summarise(result, slo=slo))
        self._tell_findings(run, course, told)

    async def _measure(self, run: Run, ready: Ready, step: Step, *, probe: Probe, salt: str) -> StageResult:
        """One level, on disk when this returns."""
        use, stage = self._instruments, step.stage
        self._lifecycle.record(run.id, "measuring-started", point=step.number, label=stage.label)
        job = LoadJob(
            endpoint=ready.endpoint,
            stage=stage,
            workload=self._plan.workload,
            probe=probe,
            # The steps of a search have the same requests at the same times, stretched: they differ in load alone.
            seed=self._plan.seed + step.level,
            cache_salt=f"{salt}/{step.number}",
        )
        before = await use.read_metrics(ready.endpoint)
        result = await use.drive(job, on_progress=self._tell(run.id, step.number))
        note_growth(result, before, await use.read_metrics(ready.endpoint))
        path = self._folder.records_path(run.id, step.number)
        write_records(path, result, metadata=self._metadata(run, step.number))
        self._lifecycle.record(run.id, "point-finished", point=step.number, file=f"records/{path.name}")
        return result

    def _tell_findings(self, run: Run, course: Course, told: int) -> int:
        """Write down what searches have found since; returns how many findings are told by now."""
        for finding in course.findings[told:]:
            label = self._plan.levels[finding.level].label
            self._lifecycle.record(run.id, "search-ended", label=label, **finding.to_json())
        return len(course.findings)

    def _tell(self, run_id: str, point: int) -> Callable[[Progress], None]:
        return lambda progress: self._on_progress(run_id, point, progress)

    def _metadata(self, run: Run, point: int) -> dict[str, Any]:
        return {
            "run_id": run.id,
            "cell_id": run.cell.id,
            "repeat": run.repeat,
            "point": point,
            "simulated": self._simulated,
        }
