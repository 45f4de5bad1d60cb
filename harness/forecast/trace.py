"""What a run in virtual time did: instants of requests, sums over iterations, the limits that are enough. Pure."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from harness.forecast.step import Batch

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Work:
    """Sums over all iterations, to say what the mean one was made of.

    Seconds during which requests waited: because max-num-seqs ran (``full_s``), because hardly a cache block was
    free (``starved_s``), or because prompts filled the token budget (``crowded_s``).
    """

    iterations: int
    busy_s: float
    tokens: int
    samples: int
    decodes: int
    decode_context: float
    prompt_products: float
    prompt_context: float
    full_s: float
    starved_s: float
    crowded_s: float

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


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine has room for: sequences, tokens an iteration, tokens a request, and blocks of its cache."""

    max_num_seqs: float
    max_num_batched_tokens: float
    max_model_len: float
    blocks: float

    def serve_alike(self, other: Limits, *, enough: Limits) -> bool:
        """True when an engine with ``other`` limits runs as one with these, which found others ``enough``."""
        each = zip(astuple(self), astuple(other), astuple(enough), strict=True)
        return all(theirs == ours or least <= min(ours, theirs) for ours, theirs, least in each)


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened to every request, in order of sending. Instants are seconds, NaN where it never happened.

    ``gaps_s`` and ``gap_counts`` say how long iterations made decoding requests wait, and how many of them. From the
    limits ``enough`` on more room would have changed nothing; one that is above the engine's own, or infinite, did
    decide something.
    """

    sent_s: Floats
    first_s: Floats
    ended_s: Floats
    prompts: npt.NDArray[np.int64]
    outputs: npt.NDArray[np.int64]
    gaps_s: list[float]
    gap_counts: list[int]
    preemptions: int
    peak_blocks: int
    most_running: int
    hit_tokens: int
    refused: int
    work: Work
    enough: Limits
