"""Run a load through the scheduler in virtual time. Pure: the same seed gives the same instants, nothing waits."""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Sequence

import numpy as np

from harness.forecast.load import Arrivals, Load
from harness.forecast.scheduler import Scheduler
from harness.forecast.sequence import Request
from harness.forecast.settings import ResolvedSettings
from harness.forecast.step import Batch, StepModel
from harness.forecast.trace import Limits, Trace, Work

# What the API server takes before the engine sees a request, and per prompt token for its tokenizer.
FRONT_END_S = 6e-3
FRONT_END_S_PER_TOKEN = 1.5e-6
# With fewer blocks free, waiting requests wait for the cache.
SCARCE_SHARE = 0.05


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
        self._prompts: list[int] = prompts.tolist()
        self._outputs: list[int] = np.minimum(outputs, room - prompts).tolist()
        self.scheduler = Scheduler(settings, blocks=blocks)
        self._steps = steps
        self._settings = settings
        self._shared_tokens = load.shared_prefix_tokens if settings.prefix_caching else 0
        self._closed = load.arrivals is Arrivals.CLOSED
        # Plain lists: a run reads and writes single numbers, which is slow in an array.
        self._sent_s, self._first_s, self._ended_s = ([math.nan] * count for _ in range(3))
        self._gaps_s: list[float] = []
        self._gap_counts: list[int] = []
        self._batches: list[Batch] = []
        self._leapt_context = 0.0
        self._busy_s = self._full_s = self._starved_s = self._crowded_s = 0.0
        self._peak_blocks = self._most_running = self._refused = 0
        self._coming: list[tuple[float, int]] = []
        self._now = 0.0
        sent = load.arrival_times(count, engines, rng)
        self._next = len(sent)
        self._sent_s[: self._next] = sent.tolist()
        ready = sent + (FRONT_END_S + FRONT_END_S_PER_TOKEN * prompts[: self._next])
        self._coming.extend(sorted(zip(ready.tolist(), range(self._next), strict=True)))

    def run(self, *, leaps: bool = True) -> Trace:
        """To the end; without ``leaps`` every iteration is taken by itself, with the same result."""
        scheduler, coming = self.scheduler, self._coming
        while True:
            if coming and coming[0][0] <= self._now:
                self._admit_arrivals()
            limit = scheduler.leap_limit() if leaps else 0
            if limit > 1:
                self._leap(limit)
            elif not scheduler.is_idle:
                self._step()
            elif coming:
                self._now = max(self._now, coming[0][0])
            else:
                return self._trace()

    def _trace(self) -> Trace:
        return Trace(
            sent_s=np.array(self._sent_s),
            first_s=np.array(self._first_s),
            ended_s=np.array(self._ended_s),
            prompts=np.array(self._prompts, np.int64),
            outputs=np.array(self._outputs, np.int64),
            gaps_s=self._gaps_s,
            gap_counts=self._gap_counts,
            preemptions=self.scheduler.preemptions,
            peak_blocks=self._peak_blocks,
            most_running=self._most_running,
            hit_tokens=self.scheduler.hit_tokens,
            refused=self._refused,
            work=self._work(),
            enough=self._enough(),
        )

    def _work(self) -> Work:
        sums = Batch(*map(sum, zip(*self._batches, strict=True))) if self._batches else Batch(0, 0)
        decodes = sum(self._gap_counts)
        leapt = decodes - sums.decodes
        return Work(
            iterations=self.scheduler.iterations,
            busy_s=self._busy_s,
            tokens=sums.tokens + leapt,
            samples=sums.samples + leapt,
            decodes=decodes,
            decode_context=sums.decode_context + self._leapt_context,
            prompt_products=sums.prompt_products,
            prompt_context=sums.prompt_context,
            full_s=self._full_s,
            starved_s=self._starved_s,
            crowded_s=self._crowded_s,
        )

    def _enough(self) -> Limits:
        """Limits from which on every question whether there is room was, and would be, answered with yes."""
        settings, pool = self._settings, self.scheduler.pool
        longest = max(map(sum, zip(self._prompts, self._outputs, strict=True)))
        tokens = max((batch.tokens for batch in self._batches), default=0) + 1.0
        if not settings.chunked_prefill or settings.speculation is not None or pool.least_spare < 0:
            # What has to wait leaves its part of the budget unused, so that one of this size may not be enough.
            tokens = math.inf
        # What was asked for, with one block for a last token that is never cached; and enough never to be scarce.
        asked = pool.total - pool.least_spare + 1
        plenty = math.ceil(self._peak_blocks / (1 - SCARCE_SHARE)) + 1
        # The number of blocks also decides who is refused, and which named blocks are evicted.
        blocks = math.inf if self._refused or self._shared_tokens else max(asked, plenty)
        return Limits(self._most_running + 1, tokens, longest + 1, blocks)

    def _send(self, instant: float) -> None:
        """A client sends the next request; the engine sees it after the front end has read it."""
        index = self._next
        self._next += 1
        self._sent_s[index] = instant
        delay = FRONT_END_S + FRONT_END_S_PER_TOKEN * self._prompts[index]
        heapq.heappush(self._coming, (instant + delay, index))

    def _admit_arrivals(self) -> None:
        while self._coming and self._coming[0][0] <= self._now:
            _, index = heapq.heappop(self._coming)
            prompt = self._prompts[index]
            request = Request(prompt, self._outputs[index], hashes=self._hashes(index, prompt), payload=index)
            if self.scheduler.fits(request):
                self.scheduler.add(request)
            else:
                self._refused += 1
                self._replace()

    def _hashes(self, index: int, prompt: int) -> Sequence[Hashable]:
        """Names of a prompt's full blocks; without a shared prefix nothing can be found again, so none."""
        shared = self._shared_tokens
        if not shared:
            return ()
        block = self._settings.block_size
        return [("shared", i) if (i + 1) * block <= shared else (index, i) for i in range(prompt // block)]

    def _leap(self, limit: int) -> None:
        """Iterations of decodes alone, up to ``limit``, to the one in which an arrival may join them."""
        scheduler = self.scheduler
        decodes, context = scheduler.decoding.count, scheduler.decoding.context
        horizon = math.inf
        if self._coming and scheduler.admits_arrivals:
            horizon = self._coming[0][0] - self._now
        steps, seconds = self._steps.decode_run(
            decodes=decodes, context=context, limit=limit, horizon_s=horizon
        )
        ended = scheduler.leap(steps)
        self._gaps_s.append(seconds / steps)
        self._gap_counts.append(decodes * steps)
        self._leapt_context += (context + decodes * (steps - 1) / 2) * steps
        self._pass(seconds, ended)

    def _step(self) -> None:
        """One iteration of any kind."""
        iteration = self.scheduler.step()
        batch = iteration.batch
        seconds = self._steps.seconds(batch)
        if batch.decodes:
            self._gaps_s.append(seconds)
            self._gap_counts.append(batch.decodes)
        self._batches.append(batch)
        running = len(self.scheduler.running) + len(iteration.ended)
        if running > self._most_running:
            self._most_running = running
        self._pass(seconds, iteration.ended)
        for request in iteration.first:
            # After a preemption it is not the first token any more: what was generated is not lost.
            if request.generated == 1 and isinstance(request.payload, int):
                self._first_s[request.payload] = self._now

    def _pass(self, seconds: float, ended: list[Request]) -> None:
        """Let the time of an iteration or a leap go by; ``ended`` are the requests that end with it."""
        pool = self.scheduler.pool
        self._now += seconds
        self._busy_s += seconds
        used = pool.total - pool.free
        if used > self._peak_blocks:
            self._peak_blocks = used
        if self.scheduler.waiting:
            if len(self.scheduler.running) + len(ended) >= self._settings.max_num_seqs:
                self._full_s += seconds
            elif pool.free < SCARCE_SHARE * pool.total:
                self._starved_s += seconds
            else:
                self._crowded_s += seconds
        for request in ended:
            if isinstance(request.payload, int):
                self._ended_s[request.payload] = self._now
            self._replace()

    def _replace(self) -> None:
        """In a closed loop an answered request makes room for the next."""
        if self._closed and self._next < len(self._sent_s):
            self._send(self._now)
