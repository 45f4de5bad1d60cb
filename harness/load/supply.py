"""Requests made ready ahead of their time, so that making them delays none."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from harness.load.chores import Chores
from harness.load.conversations import continued
from harness.load.job import Shard
from harness.load.request import RequestForm, post_bytes, request_body
from harness.load.source import RequestSource, RequestSpec
from harness.load.target import Target
from harness.secret import Secret

READY_REQUESTS = 1024

Ready = tuple[RequestSpec, bytes]


class Supply:
    """The requests of a stage as bytes, warm-up and measured ones apart, in the order of their numbers.

    Of conversations it makes the first requests ahead; a later one is made when the answer before it is there.
    """

    def __init__(
        self,
        source: RequestSource,
        target: Target,
        *,
        form: RequestForm,
        key: Secret | None,
        chores: Chores,
        shard: Shard,
    ) -> None:
        self._source, self._target, self._form, self._key = source, target, form, key
        self._chores = chores
        self._ready: dict[bool, deque[Ready]] = {False: deque(), True: deque()}
        self._next = {False: shard.number, True: shard.number}
        self._stride = shard.of

    def prepare(self, count: int, *, warmup: bool) -> None:
        """Have ``count`` more requests ready, within reason."""
        for _ in range(min(count, READY_REQUESTS)):
            self._ready[warmup].append(self._make(warmup))

    def take(self, *, warmup: bool) -> Ready:
        """The next request and its bytes; one more is made when there is time."""
        ready = self._ready[warmup]
        taken = ready.popleft() if ready else self._make(warmup)
        self._chores.add(self._refill(warmup))
        return taken

    def _refill(self, warmup: bool) -> Iterator[None]:
        self._ready[warmup].append(self._make(warmup))
        yield

    def _make(self, warmup: bool) -> Ready:
        spec = self._source.request(self._next[warmup], warmup=warmup)
        self._next[warmup] += self._stride
        return spec, self._bytes(spec)

    def next_turn(self, spec: RequestSpec) -> RequestSpec:
        """What the user says after the answer to ``spec``."""
        return self._source.next_turn(spec)

    def following(self, spec: RequestSpec, answer: str, *, turn: RequestSpec) -> Ready:
        """The request of ``turn``: all that was said up to ``spec``, its ``answer``, and what the user says now."""
        spec = replace(turn, prompt=continued(spec.prompt, answer, then=turn.prompt, api=self._form.api))
        return spec, self._bytes(spec)

    def _bytes(self, spec: RequestSpec) -> bytes:
        body = request_body(
            self._form, prompt=spec.prompt, output_tokens=spec.output_tokens, cache_salt=spec.cache_salt
        )
        return post_bytes(self._target, api=self._form.api, body=body, key=self._key)
