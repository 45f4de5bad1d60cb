"""Run a load through the scheduler in virtual time. Pure: the same seed gives the same instants, nothing waits."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from harness.forecast.load import Arrivals, Load
from harness.forecast.scheduler import Scheduler
from harness.forecast.sequence import Iteration, Request
from harness.forecast.settings import ResolvedSettings
from harness.forecast.step import Batch, StepModel

FRONT_END_S = 6e-3
FRONT_END_S_PER_TOKEN = 1.5e-6
SCARCE_SHARE = 0.05

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Work:
    """Sums over all iterations, to say what the mean one was made of.

    Seconds during which requests waited: because max-num-seqs ran (``full_s``), because hardly a cache block was
    free (``starved_s``), or because prompts filled the token budget (``crowded_s``).
    """

    iterations: int = 0
    busy_s: float = 0.0
    tokens: int = 0
    samples: int = 0
    decodes: int = 0
    decode_context: float = 0.0
    prompt_products: float = 0.0
    prompt_context: float = 0.0
    full_s: float = 0.0
    starved_s: float = 0.0
    crowded_s: float = 0.0

    def add(self, batch: Batch, seconds: float, *, times: int = 1) -> None:
        """Count ``times`` iterations like ``batch`` that together took ``seconds``."""
        self.iterations += times
        self.busy_s += seconds
        self.tokens += batch.tokens * times
        self.samples += batch.samples * times
        self.decodes += batch.decodes * times
        self.decode_context += batch.decode_context * times
        self.prompt_products += batch.prompt_products * times
        self.prompt_context += batch.prompt_context * times

    def mean_batch(self) -> Batch:
        """The average iteration."""
        count = max(1, self.iterations)
        return Batch(
            tokens=max(1, round(self.tokens / count)),
            samples=round(self.samples / count),
            decodes=round(self.decodes / count),
            decode_context=self.decode_context / count,
            prompt_products=self.prompt_products / count,
            prompt_context=self.prompt_context / count,
        )


@dataclass(slots=True)
class Trace:
    """What happened to every request, in order of sending. Instants are seconds, NaN where it never happened.

    ``gaps_s`` and ``gap_counts`` say how long iterations made decoding requests wait, and how many of them.
    """

    sent_s: Floats
    first_s: Floats
    ended_s: Floats
    prompts: npt.NDArray[np.int64]
    outputs: npt.NDArray[np.int64]
    gaps_s: list[float] = field(default_factory=list)
    gap_counts: list[int] = field(default_factory=list)
    preemptions: int = 0
    peak_blocks: int = 0
    most_running: int = 0
    hit_tokens: int = 0
    refused: int = 0
    work: Work = field(default_factory=Work)


class VirtualRun:
    """One engine, one load, from the first request to the last token."""

    def __init__(
        self,
        steps: StepModel,
        settings: ResolvedSettings,
        *,
        blocks: int,
        load: Load,
        engines: int,
        seed: int,
    ) -> None:
        rng = np.random.default_rng(seed)
        count = load.count(engines)
        prompts, outputs = load.lengths(count, rng)
        room = settings.max_model_len
        prompts = np.minimum(prompts, room - 1)
        outputs = np.minimum(outputs, room - prompts)
        nothing = np.full(count, np.nan)
        self.trace = Trace(nothing.copy(), nothing.copy(), nothing.copy(), prompts, outputs)
        self.scheduler = Scheduler(settings, blocks=blocks)
        self._steps = steps
        self._settings = settings
        self._load = load
        self._closed = load.arrivals is Arrivals.CLOSED
        self._coming: list[tuple[float, int]] = []
        self._now = 0.0
        self._next = 0
        for instant in load.arrival_times(count, engines, rng):
            self._send(float(instant))

    def run(self, *, leaps: bool = True) -> Trace:
        """To the end; without ``leaps`` every iteration is taken by itself, with the same result."""
        scheduler = self.scheduler
        while self._coming or not scheduler.is_idle:
            self._admit_arrivals()
            if scheduler.is_idle:
                if self._coming:
                    self._now = max(self._now, self._coming[0][0])
                continue
            limit = scheduler.leap_limit() if leaps else 0
            if limit > 1:
                self._leap(limit)
            else:
                self._step()
        self.trace.preemptions = scheduler.preemptions
        self.trace.hit_tokens = scheduler.hit_tokens
        return self.trace

    def _send(self, instant: float) -> None:
        """A client sends the next request; the engine sees it after the front end has read it."""
        index = self._next
        self._next += 1
        self.trace.sent_s[index] = instant
        delay = FRONT_END_S + FRONT_END_S_PER_TOKEN * float(self.trace.prompts[index])
        heapq.heappush(self._coming, (instant + delay, index))

    def _admit_arrivals(self) -> None:
        while self._coming and self._coming[0][0] <= self._now:
            _, index = heapq.heappop(self._coming)
            prompt, output = int(self.trace.prompts[index]), int(self.trace.outputs[index])
            request = Request(prompt, output, hashes=self._hashes(index, prompt), payload=index)
            if self.scheduler.fits(request):
                self.scheduler.add(request)
            else:
                self.trace.refused += 1
                self._replace()

    def _hashes(self, index: int, prompt: int) -> list[Hashable]:
        """Names of a prompt's full blocks; without a shared prefix nothing can be found again, so none."""
        shared = self._load.shared_prefix_tokens
        if not shared or not self._settings.prefix_caching:
            return []
        block = self._settings.block_size
        return [("shared", i) if (i + 1) * block <= shared else (index, i) for i in range(prompt // block)]

    def _leap(self, limit: int) -> None:
        scheduler = self.scheduler
        horizon = float("inf")
        if self._coming and scheduler.admits_arrivals:
            horizon = self._coming[0][0] - self._now
        decodes, context = scheduler.decodes, scheduler.decode_context
        steps, seconds = self._steps.decode_run(
            decodes=decodes, context=context, limit=limit, horizon_s=horizon
        )
        ended = scheduler.leap(steps)
        self.trace.gaps_s.append(seconds / steps)
        self.trace.gap_counts.append(decodes * steps)
        middle = context + decodes * (steps - 1) / 2
        self._count(Batch(decodes, decodes, decodes, middle), seconds, times=steps, ended=len(ended))
        self._end(ended, self._now + seconds)

    def _step(self) -> None:
        iteration = self.scheduler.step()
        seconds = self._steps.seconds(iteration.batch)
        if iteration.batch.decodes:
            self.trace.gaps_s.append(seconds)
            self.trace.gap_counts.append(iteration.batch.decodes)
        self._count(iteration.batch, seconds, times=1, ended=len(iteration.ended))
        self._note_first(iteration, self._now + seconds)
        self._end(iteration.ended, self._now + seconds)

    def _note_first(self, iteration: Iteration, instant: float) -> None:
        for request in iteration.first:
            index = request.payload
            if isinstance(index, int) and np.isnan(self.trace.first_s[index]):
                self.trace.first_s[index] = instant

    def _end(self, ended: list[Request], instant: float) -> None:
        self._now = instant
        for request in ended:
            if isinstance(request.payload, int):
                self.trace.ended_s[request.payload] = instant
            self._replace()

    def _replace(self) -> None:
        """In a closed loop an answered request makes room for the next."""
        if self._closed and self._next < len(self.trace.sent_s):
            self._send(self._now)

    def _count(self, batch: Batch, seconds: float, *, times: int, ended: int) -> None:
        work, scheduler = self.trace.work, self.scheduler
        work.add(batch, seconds, times=times)
        self.trace.peak_blocks = max(self.trace.peak_blocks, scheduler.pool.used)
        self.trace.most_running = max(self.trace.most_running, len(scheduler.running) + ended)
        if scheduler.waiting:
            full = len(scheduler.running) + ended >= self._settings.max_num_seqs
            if full:
                work.full_s += seconds
            elif scheduler.pool.free < SCARCE_SHARE * scheduler.pool.total:
                work.starved_s += seconds
            else:
                work.crowded_s += seconds
