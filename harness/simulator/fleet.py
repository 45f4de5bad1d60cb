"""A fleet of replicas behind a router, in virtual time, below HTTP: what does it make of a rate? Pure.

Every replica is the forecast's scheduler and step model, as in a simulated endpoint; requests are routed when they
arrive. Millions of tokens take seconds, so that an answer of ``harness capacity`` can be tried out::

    run = run_fleet(cell, Load(Arrivals.POISSON, 12.0, 800, 250, requests=5000), replicas=4)
    np.nanpercentile(run.ttft_s, 95), run.request_throughput
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.forecast.load import Arrivals, Load
from harness.forecast.memory import plan_memory
from harness.forecast.scheduler import Scheduler
from harness.forecast.sequence import Request
from harness.forecast.settings import ResolvedSettings
from harness.forecast.startup_check import start_failure
from harness.forecast.step import Constants, StepModel
from harness.forecast.tables import link as link_of
from harness.forecast.virtual import FRONT_END_S, FRONT_END_S_PER_TOKEN
from harness.plan.cells import Cell
from harness.plan.engine import UnknownEngine, engine_of

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Router(StrEnum):
    """Who gets a request: any replica with equal chance, or the first of those with the fewest unanswered."""

    RANDOM = "random"
    LEAST_LOADED = "least-loaded"


@dataclass(frozen=True, slots=True)
class FleetRun:
    """What became of every request, in order of sending. ``replica`` says who served it.

    Instants are seconds from the beginning of the arrivals. Lengths are cut to the engine's max-model-len.
    """

    sent_s: Floats
    first_s: Floats
    ended_s: Floats
    prompts: Integers
    outputs: Integers
    replica: Integers
    preemptions: int

    @property
    def ttft_s(self) -> Floats:
        """First token after sending, each."""
        return self.first_s - self.sent_s

    @property
    def e2e_s(self) -> Floats:
        """Last token after sending, each."""
        return self.ended_s - self.sent_s

    @property
    def tpot_s(self) -> Floats:
        """Time per token after the first, each; NaN for answers of one token."""
        gaps = np.where(self.outputs > 1, self.outputs - 1, np.nan)
        return np.asarray((self.ended_s - self.first_s) / gaps, np.float64)

    @property
    def request_throughput(self) -> float:
        """Requests per second between the first tenth of the ends and the last, without filling and draining."""
        ends = np.sort(self.ended_s)
        skip = len(ends) // 10
        if len(ends) - 2 * skip < 2:
            return float("nan")
        return float((len(ends) - 2 * skip - 1) / (ends[len(ends) - skip - 1] - ends[skip]))


def run_fleet(
    cell: Cell,
    load: Load,
    *,
    replicas: int,
    router: Router = Router.RANDOM,
    seed: int = 0,
    model_config: Mapping[str, object] | None = None,
    constants: Constants | None = None,
) -> FleetRun:
    """Send ``load`` (its level is the whole fleet's rate) to ``replicas`` replicas of the cell and see it through.

    ``constants`` are a calibration's. UsageError for a closed loop, for a cell the model of the engine does not cover,
    and for one that would not start.
    """
    if load.arrivals is Arrivals.CLOSED:
        raise UsageError("a fleet is run at a rate; in a closed loop the router has nothing to decide")
    kind = _kind(cell, model_config, constants)
    fleet = [_Replica(kind) for _ in range(replicas * kind.per_replica)]
    rng = np.random.default_rng(seed)
    count = load.count(1)
    prompts, outputs = load.lengths(count, rng)
    prompts = np.minimum(prompts, kind.settings.max_model_len - 1)
    outputs = np.minimum(outputs, kind.settings.max_model_len - prompts)
    sent_s = load.arrival_times(count, 1, rng)
    chosen = rng.integers(len(fleet), size=count)
    for index in range(count):
        if router is Router.LEAST_LOADED:
            chosen[index] = _least_loaded(fleet, float(sent_s[index]))
        request = Request(int(prompts[index]), int(outputs[index]), payload=index)
        fleet[chosen[index]].submit(float(sent_s[index]), request)
    first_s, ended_s = np.full(count, np.nan), np.full(count, np.nan)
    for each in fleet:
        each.advance(math.inf)
        first_s[list(each.first_s)] = list(each.first_s.values())
        ended_s[list(each.ended_s)] = list(each.ended_s.values())
    preemptions = sum(each.scheduler.preemptions for each in fleet)
    return FleetRun(sent_s, first_s, ended_s, prompts, outputs, chosen, preemptions)


def _least_loaded(fleet: Sequence[_Replica], now_s: float) -> int:
    for each in fleet:
        each.advance(now_s)
    return min(range(len(fleet)), key=lambda number: fleet[number].unanswered(now_s))


@dataclass(frozen=True, slots=True)
class _Kind:
    """What every engine of the fleet is; a replica is ``per_replica`` of them."""

    steps: StepModel
    settings: ResolvedSettings
    blocks: int
    per_replica: int


def _kind(cell: Cell, model_config: Mapping[str, object] | None, constants: Constants | None) -> _Kind:
    engine = engine_of(cell, model_config)
    if isinstance(engine, UnknownEngine):
        raise UsageError(f"{cell.label} cannot be run: {engine.reason}")
    model, gpu, settings = engine.model, engine.gpu, engine.settings
    failure = start_failure(model, gpu, cell.gpu_count, settings)
    if failure is not None:
        raise UsageError(f"{cell.label} would not start: {failure.message}")
    shards = settings.tensor_parallel
    link = link_of(gpu.link, shards) if shards > 1 else None
    steps = StepModel(model, gpu, settings, link=link, constants=constants)
    blocks = plan_memory(model, gpu, settings).blocks
    return _Kind(steps, settings.resolve(model, gpu), blocks, settings.data_parallel)


class _Replica:
    """One engine, taken forward from arrival to arrival. ``first_s`` and ``ended_s`` are by the request's number."""

    def __init__(self, kind: _Kind) -> None:
        self.scheduler = Scheduler(kind.settings, blocks=kind.blocks)
        self.first_s: dict[int, float] = {}
        self.ended_s: dict[int, float] = {}
        self._steps = kind.steps
        self._now_s = 0.0
        self._coming: list[tuple[float, int, Request]] = []
        self._submitted = 0
        # What ended in iterations that were under way when last looked at, by the time of its end.
        self._ends: deque[float] = deque()
        self._answered = 0

    def submit(self, sent_s: float, request: Request) -> None:
        """Give it a request."""
        if not self.scheduler.fits(request):
            raise UsageError(
                f"a request of {request.prompt_tokens} + {request.output_tokens} tokens fits no cache"
            )
        ready_s = sent_s + FRONT_END_S + FRONT_END_S_PER_TOKEN * request.prompt_tokens
        heapq.heappush(self._coming, (ready_s, self._submitted, request))
        self._submitted += 1

    def unanswered(self, now_s: float) -> int:
        """Requests it has and had not ended by ``now_s``, which ``advance`` has reached."""
        while self._ends and self._ends[0] <= now_s:
            self._ends.popleft()
            self._answered += 1
        return self._submitted - self._answered

    def advance(self, until_s: float) -> None:
        """Every iteration that begins before ``until_s``."""
        scheduler = self.scheduler
        while self._now_s < until_s:
            while self._coming and self._coming[0][0] <= self._now_s:
                scheduler.add(heapq.heappop(self._coming)[2])
            if not scheduler.is_idle:
                self._iterate(until_s)
            elif self._coming and self._coming[0][0] < until_s:
                self._now_s = self._coming[0][0]
            else:
                return

    def _iterate(self, until_s: float) -> None:
        """One iteration, or as many as only decode before anything can happen."""
        scheduler = self.scheduler
        limit = scheduler.leap_limit()
        if limit > 1:
            horizon_s = until_s
            if self._coming and scheduler.admits_arrivals:
                horizon_s = min(horizon_s, self._coming[0][0])
            steps, seconds = self._steps.decode_run(
                decodes=scheduler.decoding.count,
                context=scheduler.decoding.context,
                limit=limit,
                horizon_s=horizon_s - self._now_s,
            )
            first, ended = [], scheduler.leap(steps)
        else:
            iteration = scheduler.step()
            seconds, first, ended = self._steps.seconds(iteration.batch), iteration.first, iteration.ended
        self._now_s += seconds
        for request in first:
            self.first_s.setdefault(_number(request), self._now_s)
        for request in ended:
            self.ended_s[_number(request)] = self._now_s
            self._ends.append(self._now_s)


def _number(request: Request) -> int:
    assert isinstance(request.payload, int)
    return request.payload
