"""A cell: one point of the matrix to deploy, and where in the file each part of it was written. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.diagnostics import Location

ID_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Cell:
    """One deployment to make and measure.

    ``parameters`` is the argument list sent as ``inference-engine-parameters``; ``parameter_set`` names where it
    came from (a set's name, or its values as ``max-num-seqs=64``). ``axes`` maps every matrix key to this cell's
    value as text, for tables and plots. ``origins`` holds, per item of ``parameters``, its place in the file, or
    None; it is not part of the identity.
    """

    gpu_type: str
    gpu_count: int
    replicas: int
    engine_version: str
    model: str
    parameters: tuple[str, ...]
    parameter_set: str = "default"
    axes: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)
    origins: tuple[Location | None, ...] = field(default=(), compare=False, repr=False)

    @property
    def id(self) -> str:
        """Twelve hex digits of a SHA-256 over what is deployed; the same wherever the cell stands in the file."""
        import hashlib  # loads OpenSSL, which counting and linting cells do not need

        identity = [
            self.gpu_type,
            self.gpu_count,
            self.replicas,
            self.engine_version,
            self.model,
            list(self.parameters),
        ]
        return hashlib.sha256(json.dumps(identity, ensure_ascii=False).encode()).hexdigest()[:ID_LENGTH]

    @property
    def gpus(self) -> int:
        """GPUs rented while it runs: per replica times replicas."""
        return self.gpu_count * self.replicas

    @property
    def label(self) -> str:
        """Short name for tables: ``gpua5000×2 0.15.1 wide``."""
        replicas = f" r{self.replicas}" if self.replicas != 1 else ""
        return f"{self.gpu_type}×{self.gpu_count}{replicas} {self.engine_version} {self.parameter_set}"
