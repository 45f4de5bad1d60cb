"""One run of ``harness load``: which level comes next, measuring it, keeping what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from harness.cli.loading import LoadView, Measured
from harness.errors import UsageError
from harness.load.arrivals import ClosedLoop, ConstantRate, GammaRate, PoissonRate
from harness.load.crew import Crew, LocalCrew
from harness.load.definitions import variants
from harness.load.metrics import LoadMetrics, summarise
from harness.load.probe import probe_endpoint
from harness.load.records import Endpoint
from harness.load.scrape import growth, read_metrics
from harness.load.search import KneeSearch, RateSearch, judge_level
from harness.load.server_side import server_side
from harness.load.session import LoadJob, measure_with
from harness.load.slo import Slo
from harness.load.stage import Stage
from harness.load.workload import Workload
from harness.results.store import write_records


class Levels(Protocol):
    """Where the levels come from. ``answer`` is a search's finding in words, None when nothing is searched for."""

    def next_stage(self) -> Stage | None:
        """The next level to measure; None when there is none."""

    def told(self, stage: Stage, metrics: LoadMetrics) -> None:
        """Take what came of a level."""

    def answer(self) -> str | None:
        """What was found."""


class Ladder:
    """The levels as given."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._left = list(stages)

    def next_stage(self) -> Stage | None:
        """The next of them."""
        return self._left.pop(0) if self._left else None

    def told(self, stage: Stage, metrics: LoadMetrics) -> None:
        """Nothing follows from one level for the next."""

    def answer(self) -> str | None:
        """Nothing is searched for."""
        return None


class RateLevels:
    """Looks for the highest rate within an SLO, from the rate of ``stage`` on."""

    def __init__(self, stage: Stage, slo: Slo) -> None:
        if not isinstance(stage.arrivals, PoissonRate | ConstantRate | GammaRate):
            raise UsageError("--find rate starts from one --rate")
        self._stage, self._arrivals, self._slo = stage, stage.arrivals, slo
        self._search = RateSearch(stage.arrivals.rate_req_s)

    def next_stage(self) -> Stage | None:
        """The level the search asks for."""
        level = self._search.next_level()
        return (
            None
            if level is None
            else replace(self._stage, arrivals=replace(self._arrivals, rate_req_s=level))
        )

    def told(self, stage: Stage, metrics: LoadMetrics) -> None:
        """The search takes whether the level kept the SLO."""
        level = metrics.offered_rate_req_s or 0.0
        self._search.told(judge_level(level, metrics, self._slo))

    def answer(self) -> str | None:
        """The search's own words."""
        return self._search.answer()


class KneeLevels:
    """Looks for the fewest users that reach most of the throughput."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._search = KneeSearch()

    def next_stage(self) -> Stage | None:
        """The level the search asks for."""
        users = self._search.next_level()
        return None if users is None else replace(self._stage, arrivals=ClosedLoop(users))

    def told(self, stage: Stage, metrics: LoadMetrics) -> None:
        """The search takes the level's throughput."""
        if isinstance(stage.arrivals, ClosedLoop):
            self._search.told(stage.arrivals.concurrency, metrics.output_throughput_tok_s)

    def answer(self) -> str | None:
        """The search's own words."""
        return self._search.answer()


def levels_for(find: str | None, stages: Sequence[Stage], slo: Slo | None) -> Levels:
    """The ladder, or the search that ``--find`` names."""
    if find is None:
        return Ladder(stages)
    if len(stages) != 1:
        raise UsageError("a search starts from one level, not several")
    if find == "knee":
        return KneeLevels(stages[0])
    if slo is None:
        raise UsageError("--find rate needs an --slo to keep")
    return RateLevels(stages[0], slo)


class Session:
    """One run of the command: ``measured`` grows by a stage at a time."""

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
        self.measured: list[Measured] = []

    async def run(self, levels: Levels, *, of: int | None) -> None:
        """Probe the endpoint, then measure level after level; ``of`` is their number, None when not known."""
        probe = await probe_endpoint(self.endpoint, workload=self.workload)
        self.model = probe.model
        while (stage := levels.next_stage()) is not None:
            number = len(self.measured) + 1
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
                result = await measure_with(self.crew, job, on_progress=view.progress)
            after = await read_metrics(self.endpoint) if before is not None else None
            if before is not None and after is not None:
                result.server_metrics = growth(before, after)
            metrics = summarise(result, slo=self.slo)
            server = None if result.server_metrics is None else server_side(result.server_metrics)
            self.measured.append(Measured(stage, metrics, result.client, server, variants(result)))
            levels.told(stage, metrics)
            if self.records_path is not None:
                write_records(self.records_path / f"stage-{number}.parquet", result)
