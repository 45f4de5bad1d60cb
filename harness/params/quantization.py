"""Which quantization method the engine ends up with, from the flag and from the checkpoint. Pure.

Follows vLLM's ``ModelConfig._verify_quantization``: some methods take over checkpoints made by another one when the
GPU and the checkpoint's settings allow it (GPTQ and AWQ to their Marlin kernels).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from harness.params.derivation import facts, gpu
from harness.params.model_config import Json, ModelConfig, Quantization
from harness.params.settings import Settings

if TYPE_CHECKING:
    from harness.params.engine_facts import QuantizationMethod

MARLIN_GROUPS = (-1, 32, 64, 128)


class Resolved(NamedTuple):
    """``name`` is what runs (None: nothing); ``mismatch`` the checkpoint's method if the flag contradicts it."""

    name: str | None
    mismatch: str | None = None


def asked(settings: Settings) -> str | None:
    """``--quantization`` as the engine reads it: lower-cased, None for null and when it is not given."""
    value = settings.text("quantization")
    return value.lower() if value else None


def resolve(settings: Settings, known: ModelConfig) -> Resolved | None:
    """What the flag and the checkpoint come to; None when it hangs on a GPU that is not known."""
    name = asked(settings)
    checkpoint = known.quantization
    if checkpoint is None:
        return Resolved(name)
    card = gpu(settings)
    if checkpoint.method in {"gptq", "awq"} and card is None:
        return None
    capability = 0 if card is None else card.compute_capability
    taken = takeover(settings, checkpoint, name=name, capability=capability)
    if taken is not None:
        return Resolved(taken)
    if name is not None and name != checkpoint.method:
        return Resolved(name, mismatch=checkpoint.method or "none")
    return Resolved(checkpoint.method)


def method(settings: Settings, known: ModelConfig) -> QuantizationMethod | None:
    """The method that will run, when nothing stands in its way but the GPU and the activation type.

    None for no quantization, an unknown name, a contradiction, a deprecated method that was not allowed, and a method
    that needs a checkpoint made with it when this one is not.
    """
    resolved = resolve(settings, known)
    if resolved is None or resolved.name is None or resolved.mismatch is not None:
        return None
    found = facts(settings).quantization.get(resolved.name)
    if found is None or (found.deprecated and not settings.switch("allow-deprecated-quantization")):
        return None
    return found if found.bare or known.quantization is not None else None


def takeover(
    settings: Settings, checkpoint: Quantization, *, name: str | None, capability: int
) -> str | None:
    """The method that takes the checkpoint over, asked in vLLM's order; None when none does."""
    table = checkpoint.settings
    marlin = capability >= (75 if settings.since("0.15.1") else 80)
    layout = table.get("checkpoint_format")
    if name in {None, "gptq", "bitblas"} and (layout == "bitblas" or table.get("is_bitblas_format") is True):
        return "bitblas"
    if name in {None, "gptq", "gptq_marlin_24"} and layout == "marlin_24":
        return "gptq_marlin_24"
    if name in {None, "marlin", "gptq_marlin"} and marlin and gptq_marlin(checkpoint.method, table):
        return "gptq_marlin"
    if name in {None, "marlin", "awq_marlin"} and marlin and awq_marlin(checkpoint.method, table):
        return "awq_marlin"
    if settings.since("0.15.1") and table.get("quant_method") == "auto-round":
        return "inc"
    if name == "moe_wna16" and moe_wna16(checkpoint.method, table, capability):
        return "moe_wna16"
    return modelopt(table) if table.get("quant_method") == "modelopt" else None


def gptq_marlin(kind: str | None, table: Json) -> bool:
    """A GPTQ checkpoint that the Marlin kernels can run: 4 or 8 bits, symmetric, a known group size."""
    return (
        kind == "gptq"
        and table.get("desc_act") is not None
        and table.get("bits") in (4, 8)
        and table.get("sym") is True
        and table.get("group_size") in MARLIN_GROUPS
    )


def awq_marlin(kind: str | None, table: Json) -> bool:
    """An AWQ checkpoint that the Marlin kernels can run: 4 bits, zero points, a known group size."""
    return (
        kind == "awq"
        and table.get("bits") == 4
        and table.get("zero_point") is True
        and table.get("group_size") in MARLIN_GROUPS
    )


def moe_wna16(kind: str | None, table: Json, capability: int) -> bool:
    """A GPTQ checkpoint without reordering or an AWQ one, whose experts these kernels can run."""
    if kind == "gptq":
        return not table.get("desc_act") and table.get("bits") in (4, 8)
    return kind == "awq" and table.get("bits") == 4 and capability >= 75


def modelopt(table: Json) -> str | None:
    """The ModelOpt method that a checkpoint's own algorithm name stands for."""
    inner = table.get("quantization", table)
    algorithm = str(inner.get("quant_algo", "")).upper() if isinstance(inner, dict) else ""
    if "FP8" in algorithm:
        return "modelopt"
    return "modelopt_fp4" if "FP4" in algorithm else None
