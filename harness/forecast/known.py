"""Levels that need not be run again: of engines that differ only in limits that neither comes to. Pure.

How many sequences may run, how many tokens an iteration or a request may have, and how many cache blocks there are
decide something only where they are too few. A run that found room each time it asked for some is, to the last bit, the
run of every engine with more of it; so a sweep over ``--max-num-seqs`` runs once for all values that are never reached.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from harness.forecast.level import LevelForecast
from harness.forecast.load import Load
from harness.forecast.settings import EngineSettings
from harness.forecast.trace import Limits

# What these settings change is the limits alone: in part directly, in part by the memory that is left for blocks.
LIMITING = (
    "max_model_len",
    "max_num_seqs",
    "max_num_batched_tokens",
    "gpu_memory_utilization",
    "kv_cache_memory_bytes",
    "num_gpu_blocks",
    "cpu_offload_bytes",
)


@dataclass(frozen=True, slots=True)
class _Run:
    level: LevelForecast
    limits: Limits
    enough: Limits
    peak_blocks: int


class KnownLevels:
    """The levels of several cells, for as long as their forecasts are made."""

    def __init__(self) -> None:
        self._runs: dict[Hashable, list[_Run]] = {}

    def __len__(self) -> int:
        """Levels that were run."""
        return sum(map(len, self._runs.values()))

    def find(self, engine: Hashable, limits: Limits) -> LevelForecast | None:
        """The level that an engine with these limits would have; ``engine`` is all else that decides it."""
        for run in self._runs.get(engine, ()):
            if run.limits.serve_alike(limits, enough=run.enough):
                return replace(run.level, kv_share=run.peak_blocks / limits.blocks if limits.blocks else 0.0)
        return None

    def keep(
        self, engine: Hashable, limits: Limits, level: LevelForecast, *, enough: Limits, peak_blocks: int
    ) -> None:
        """Remember a level that was run."""
        self._runs.setdefault(engine, []).append(_Run(level, limits, enough, peak_blocks))


def without_limits(settings: EngineSettings, load: Load) -> EngineSettings:
    """The settings with all that is ``LIMITING`` left at its default, and prefix caching where nothing is shared."""
    plain = EngineSettings()
    changes = {name: getattr(plain, name) for name in LIMITING}
    if not load.shared_prefix_tokens:
        changes["prefix_caching"] = plain.prefix_caching
    return replace(settings, **changes)
