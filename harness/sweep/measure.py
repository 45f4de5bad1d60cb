"""One run's load test: probe the endpoint, run each level in a process of its own, write each point as it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.load.monitor import Progress
from harness.load.probe import Probe, probe_endpoint
from harness.load.records import Endpoint, StageResult
from harness.load.scrape import growth, read_metrics
from harness.load.session import LoadJob, measure_in_process
from harness.load.stage import Stage
from harness.load.workload import Workload
from harness.results.store import RunFolder, write_records
from harness.sweep.deployers import Ready, Run
from harness.sweep.lifecycle import Lifecycle

OnProgress = Callable[[str, int, Progress], None]


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What every run is loaded with. ``salt`` keeps this sweep's prompts apart from any other's in a shared cache."""

    stages: Sequence[Stage]
    workload: Workload
    seed: int
    salt: str


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
        """All levels of one run that are not on disk yet, in order."""
        done = self._lifecycle.ledger(run.id).points
        salt = f"{self._plan.salt}/{run.id}"
        use = self._instruments
        probe = await use.probe(ready.endpoint, workload=self._plan.workload, salt=salt)
        for point, stage in enumerate(self._plan.stages):
            if point in done:
                continue
            self._lifecycle.record(run.id, "measuring-started", point=point, label=stage.label)
            job = LoadJob(
                endpoint=ready.endpoint,
                stage=stage,
                workload=self._plan.workload,
                probe=probe,
                seed=self._plan.seed + point,
                cache_salt=f"{salt}/{point}",
            )
            before = await use.read_metrics(ready.endpoint)
            result = await use.drive(job, on_progress=self._tell(run.id, point))
            after = await use.read_metrics(ready.endpoint)
            if before is not None and after is not None:
                result.server_metrics = growth(before, after)
            path = self._folder.records_path(run.id, point)
            write_records(path, result, metadata=self._metadata(run, point))
            self._lifecycle.record(run.id, "point-finished", point=point, file=f"records/{path.name}")

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
