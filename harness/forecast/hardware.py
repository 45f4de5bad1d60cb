"""A GPU and the link between several of them, as the equations need them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1 << 30
NATIVE_FP8_CAPABILITY = 89
HOPPER_CAPABILITY = 90


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. ``family`` is Exoscale's name (``gpua5000``) or, for a GPU it does not offer, a short name.

    ``vram_bytes`` is what the driver reports, ``flops`` dense 16-bit with 32-bit accumulation, ``fp8_flops`` 0
    without FP8 units, ``compute_capability`` ten times NVIDIA's (86 for 8.6), ``link`` the key of a ``Link``.
    """

    family: str
    name: str
    vram_bytes: float
    bandwidth: float
    flops: float
    fp8_flops: float
    compute_capability: int
    link: str
    on_exoscale: bool

    @property
    def has_fp8(self) -> bool:
        """True where 8-bit floating point is computed, not only stored."""
        return self.compute_capability >= NATIVE_FP8_CAPABILITY

    @property
    def has_fast_mixed_attention(self) -> bool:
        """True where one kernel serves prompts and decodes without slowing the decodes (FlashAttention 3)."""
        return self.compute_capability == HOPPER_CAPABILITY


@dataclass(frozen=True, slots=True)
class Link:
    """An all-reduce over ``gpus`` GPUs takes ``alpha_s + bytes / bandwidth`` seconds."""

    kind: str
    gpus: int
    alpha_s: float
    bandwidth: float
