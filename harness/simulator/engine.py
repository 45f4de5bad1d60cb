"""One simulated engine: the forecast's scheduler driven by the wall clock, one task for all its streams.

The ticker computes an iteration, sleeps until it would be done, and then tells every request how many tokens it
has. It never writes to a socket: a consumer that is slow finds several tokens at once, as with vLLM. When the machine
is late the ticker runs on without sleeping until it has caught up with the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from collections import deque
from collections.abc import Callable

from harness.forecast.scheduler import Scheduler
from harness.forecast.sequence import Iteration
from harness.forecast.settings import ResolvedSettings
from harness.forecast.step import StepModel
from harness.forecast.virtual import FRONT_END_S, FRONT_END_S_PER_TOKEN
from harness.simulator.openmetrics import EngineMetrics, Gauges
from harness.simulator.sequences import Generation, Truth

GIVE_UP_BEHIND_S = 2.0
STUCK_S = 0.05
KEPT_TRUTHS = 200_000


class Engine:
    """The ticker of one engine, from ``start`` to ``stop``."""

    def __init__(
        self,
        steps: StepModel,
        settings: ResolvedSettings,
        *,
        blocks: int,
        metrics: EngineMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scheduler = Scheduler(settings, blocks=blocks)
        self.metrics = metrics
        self.truths: deque[Truth] = deque(maxlen=KEPT_TRUTHS)
        self.lateness_s: deque[float] = deque(maxlen=KEPT_TRUTHS)
        self._steps = steps
        self._interval = settings.stream_interval
        self._clock = clock
        self._coming: list[tuple[float, int, Generation]] = []
        self._serial = 0
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._last_emit_s = 0.0

    def gauges(self) -> Gauges:
        """What it is doing now."""
        pool = self.scheduler.pool
        return Gauges(
            running=len(self.scheduler.running),
            waiting=len(self.scheduler.waiting) + len(self._coming),
            kv_usage=pool.used / pool.total if pool.total else 0.0,
        )

    def submit(self, generation: Generation) -> None:
        """Queue a sequence; the scheduler sees it when the front end has dealt with its prompt."""
        generation.queued_s = self._clock()
        delay = FRONT_END_S + FRONT_END_S_PER_TOKEN * generation.request.prompt_tokens
        self._serial += 1
        heapq.heappush(self._coming, (generation.queued_s + delay, self._serial, generation))
        self._arrived.set()

    def abort(self, generation: Generation) -> None:
        """The client went away: free what the sequence holds."""
        if generation.finished:
            return
        self._coming = [entry for entry in self._coming if entry[2] is not generation]
        heapq.heapify(self._coming)
        self.scheduler.abort(generation.request)
        generation.finished = True
        generation.ended_s = self._clock()
        # The engine's own count of requests by their end leaves these out.
        self._keep(generation, aborted=True)

    async def start(self) -> None:
        """Begin to tick."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="engine ticker")

    async def stop(self) -> None:
        """Stop ticking; what is being generated stays unfinished."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        due = self._clock()
        while True:
            due = max(due, self._clock() - GIVE_UP_BEHIND_S)
            self._admit(due)
            if self.scheduler.is_idle:
                due = await self._wait_for_work()
                continue
            iteration = self.scheduler.step()
            if not iteration.batch.tokens:
                # What waits is larger than the whole cache: it waits for ever, as with vLLM.
                await asyncio.sleep(STUCK_S)
                due = self._clock()
                continue
            for request in iteration.admitted:
                if isinstance(request.payload, Generation):
                    request.payload.admitted_s = due
            due += self._steps.seconds(iteration.batch)
            # Even when late, the consumers get their turn between two iterations.
            await asyncio.sleep(max(0.0, due - self._clock()))
            self._emit(iteration, due)

    async def _wait_for_work(self) -> float:
        """Until a request is through the front end; returns when the engine's time starts again."""
        while not self._coming:
            self._arrived.clear()
            await self._arrived.wait()
        ready = self._coming[0][0]
        now = self._clock()
        if ready > now:
            await asyncio.sleep(ready - now)
        return max(ready, self._clock())

    def _admit(self, now: float) -> None:
        while self._coming and self._coming[0][0] <= now:
            generation = heapq.heappop(self._coming)[2]
            self.scheduler.add(generation.request)

    def _emit(self, iteration: Iteration, due: float) -> None:
        now = self._clock()
        self.lateness_s.append(now - due)
        self._count(iteration, now)
        generated, interval = self.scheduler.generated, self._interval
        first = set(map(id, iteration.first))
        for request in self.scheduler.running.values():
            generation = request.payload
            if not isinstance(generation, Generation):
                continue
            count = generated(request)
            if count - generation.available >= interval or (id(request) in first and count == 1):
                if not generation.available:
                    self._note_first(generation, now)
                generation.available = count
                generation.mailbox.wake()
        for request in iteration.ended:
            if isinstance(request.payload, Generation):
                self._finish(request.payload, now)
        self._last_emit_s = now

    def _note_first(self, generation: Generation, now: float) -> None:
        generation.first_s = now
        self.metrics.observe("time_to_first_token_seconds", now - generation.queued_s)

    def _finish(self, generation: Generation, now: float) -> None:
        if not generation.available:
            self._note_first(generation, now)
        generation.available = generation.length
        generation.finished = True
        generation.ended_s = now
        self._observe_request(generation)
        self._keep(generation, aborted=False)
        generation.mailbox.wake()

    def _keep(self, generation: Generation, *, aborted: bool) -> None:
        self.truths.append(
            Truth(
                queued_s=generation.queued_s,
                first_s=generation.first_s,
                ended_s=generation.ended_s,
                prompt_tokens=generation.request.prompt_tokens,
                output_tokens=generation.available,
                preemptions=generation.request.preemptions,
                aborted=aborted,
            )
        )

    def _count(self, iteration: Iteration, now: float) -> None:
        metrics, scheduler = self.metrics, self.scheduler
        counters = metrics.counters
        counters["num_preemptions"] = scheduler.preemptions
        counters["prefix_cache_queries"] = scheduler.queried_tokens
        counters["prefix_cache_hits"] = scheduler.hit_tokens
        # A prompt counts with its first token, however many steps it took.
        prompted = sum(request.prompt_tokens for request in iteration.first if request.generated == 1)
        decoded = iteration.batch.decodes
        generated = decoded * iteration.gained + len(iteration.first)
        counters["prompt_tokens"] += prompted
        counters["generation_tokens"] += generated
        metrics.observe("iteration_tokens_total", prompted + generated)
        if decoded:
            metrics.observe("inter_token_latency_seconds", now - self._last_emit_s, decoded)

    def _observe_request(self, generation: Generation) -> None:
        metrics, request = self.metrics, generation.request
        running = generation.ended_s - generation.admitted_s
        metrics.finished[generation.finish_reason] += 1
        observed = {
            "request_prompt_tokens": request.prompt_tokens,
            "request_generation_tokens": generation.length,
            "request_params_max_tokens": generation.asked_tokens,
            "e2e_request_latency_seconds": generation.ended_s - generation.queued_s,
            "request_queue_time_seconds": max(0.0, generation.admitted_s - generation.queued_s),
            "request_inference_time_seconds": running,
            "request_prefill_time_seconds": generation.first_s - generation.admitted_s,
            "request_decode_time_seconds": generation.ended_s - generation.first_s,
            "request_prefill_kv_computed_tokens": request.prompt_tokens - request.cached_tokens,
        }
        for name, value in observed.items():
            metrics.observe(name, value)
        each = (generation.ended_s - generation.first_s) / max(1, generation.length - 1)
        metrics.observe("request_time_per_output_token_seconds", each if generation.length > 1 else 0.0)
        choices = generation.choices
        choices.end(generation.length)
        if not choices.left:
            metrics.observe("request_params_n", choices.number)
            metrics.observe("request_max_num_generation_tokens", choices.longest)
