"""What the simulated zone owns: GPU families with their quotas and stock, and models. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ZONE = "sim-loop-1"
LARGEST_GPU_COUNT = 8
GB = 10**9


@dataclass(frozen=True, slots=True)
class Family:
    """A GPU family. ``quota`` bounds what this organisation may use, ``stock`` what the zone has, in GPUs."""

    name: str
    quota: int
    stock: int


FAMILIES = (
    Family("gpu3080ti", quota=16, stock=16),
    Family("gpua5000", quota=32, stock=32),
    Family("gpu3", quota=16, stock=16),
    Family("gpurtx6000pro", quota=16, stock=16),
    Family("gpua30", quota=0, stock=8),
    Family("gpub300", quota=0, stock=0),
)

# Hugging Face names, and the size of their 16-bit weights (gpt-oss ships in 4 bit).
MODELS: Mapping[str, int] = {
    "Qwen/Qwen3-0.6B": 1_500_000_000,
    "Qwen/Qwen3-4B": 8_040_000_000,
    "Qwen/Qwen3-8B": 16_380_000_000,
    "Qwen/Qwen3-14B": 29_540_000_000,
    "Qwen/Qwen3-32B": 65_520_000_000,
    "Qwen/Qwen3-30B-A3B": 61_060_000_000,
    "Qwen/Qwen2.5-7B-Instruct": 15_240_000_000,
    "Qwen/Qwen2.5-14B-Instruct": 29_540_000_000,
    "meta-llama/Llama-3.1-8B-Instruct": 16_060_000_000,
    "meta-llama/Llama-3.3-70B-Instruct": 141_100_000_000,
    "mistralai/Mistral-7B-Instruct-v0.3": 14_500_000_000,
    "openai/gpt-oss-20b": 13_760_000_000,
}
UNLISTED_MODEL_BYTES = 16 * GB
DOWNLOAD_BYTES_PER_S = 250_000_000
GATED_OWNERS = ("meta-llama/", "google/")


@dataclass(slots=True)
class Inventory:
    """The families by name and how many of their GPUs are in use."""

    families: dict[str, Family] = field(default_factory=lambda: {family.name: family for family in FAMILIES})
    used: dict[str, int] = field(default_factory=dict)

    def is_authorized(self, name: str) -> bool:
        """True when this organisation may use the family and some of it is free."""
        family = self.families[name]
        return family.quota > 0 and self.free(name) > 0

    def free(self, name: str) -> int:
        """GPUs left in the zone."""
        return self.families[name].stock - self.used.get(name, 0)

    def over_quota(self, name: str, wanted: int) -> bool:
        """True when ``wanted`` more GPUs would pass the quota."""
        return self.used.get(name, 0) + wanted > self.families[name].quota

    def take(self, name: str, gpus: int) -> None:
        """Marks GPUs as used; a negative number gives them back."""
        self.used[name] = self.used.get(name, 0) + gpus
