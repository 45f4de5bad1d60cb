"""One call of ``harness sweep``: its options, and the terms that a resumed sweep goes on under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.cli.clouds import CloudChoice
from harness.results.clock import elapsed_s

DEFAULT_PARALLEL = 2


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed to, and how it is carried out; None for what nobody said. ``ttl_s`` is for each attempt.

    ``prune`` is the rule that takes the place of the file's, empty for none; ``calibration`` is the
    path of the constants to prune with.
    """

    parallel: int | None = None
    reuse: bool | None = None
    max_gpu_hours: float | None = None
    max_cost: float | None = None
    ttl_s: float | None = None
    delete_models: bool | None = None
    time_scale: float | None = None
    seed: int | None = None
    prune: str | None = None
    calibration: str | None = None

    def over(self, earlier: Terms) -> Terms:
        """These, and the earlier ones where these say nothing."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return Terms(**(asdict(earlier) | said))

    def to_json(self) -> dict[str, Any]:
        """What was said, for the journal."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def of(cls, started: Mapping[str, Any]) -> Terms:
        """Those of an earlier attempt; an unknown one is of a newer version and not ours to heed."""
        told = started.get("terms") or {}
        return cls(**{name: told[name] for name in cls.__dataclass_fields__ if name in told})


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """The options of one call."""

    config: str | None
    choice: CloudChoice
    resume: Path | None = None
    results: Path | None = None
    replace: bool = False
    yes: bool = False
    terms: Terms = field(default_factory=Terms)
    prices: Path | None = None
    executor: str | None = None
    began_s: float = field(default_factory=elapsed_s)

    @property
    def confirmed(self) -> bool:
        """True when nobody is asked: it was said so, or nothing is paid for."""
        return self.yes or self.choice.simulate or self.choice.local or self.choice.endpoint is not None

    @property
    def parallel(self) -> int:
        """Deployments that may exist at a time."""
        return 1 if self.choice.local else self.terms.parallel or DEFAULT_PARALLEL
