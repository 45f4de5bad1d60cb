"""A request as the scheduler sees it, and what one iteration did to such requests. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from harness.forecast.step import Batch


class Request:
    """One request inside the scheduler. ``output_tokens`` is how many it will generate, known in advance.

    ``hashes`` name the contents of its full blocks in order, each with all that precedes it, prompt first and then
    what it will generate, as far as the caller knows it; empty when nothing can be shared. ``payload`` is the
    caller's own.
    """

    __slots__ = (
        "admitted",
        "base",
        "cached_tokens",
        "computed",
        "finish_clock",
        "generated",
        "hashes",
        "held",
        "named",
        "order",
        "output_tokens",
        "payload",
        "preemptions",
        "prompt_tokens",
        "steady",
    )

    def __init__(
        self,
        prompt_tokens: int,
        output_tokens: int,
        *,
        hashes: Sequence[Hashable] = (),
        payload: object = None,
    ) -> None:
        self.prompt_tokens = prompt_tokens
        self.output_tokens = output_tokens
        self.hashes = hashes
        self.payload = payload
        self.cached_tokens = 0
        self.preemptions = 0
        self.admitted = False
        # While a prompt is computed: tokens computed, tokens generated before. While decoding: see base.
        self.computed = 0
        self.generated = 0
        self.steady = False
        self.base = 0
        self.finish_clock = -1
        self.order = -1
        self.held = 0
        self.named: list[Hashable] = []


NOTHING = Batch(0, 0)


class Iteration:
    """What one iteration did: ``gained`` tokens for each decode, and ``chunks`` of prompts with their sizes.

    ``first`` sampled the token that ends their prompt, ``ended`` have their last one, ``skipped`` are decodes for which
    the token budget did not suffice.
    """

    __slots__ = ("admitted", "batch", "chunks", "ended", "first", "gained", "preempted", "skipped")

    def __init__(self, gained: int) -> None:
        self.gained = gained
        self.batch = NOTHING
        self.chunks: list[tuple[Request, int]] = []
        self.admitted: list[Request] = []
        self.first: list[Request] = []
        self.ended: list[Request] = []
        self.preempted: Sequence[Request] = ()
        self.skipped: Sequence[Request] = ()
