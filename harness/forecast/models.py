"""What the equations need of a model: its shape, and the weights that follow from it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Shape of a model. ``ffn`` is a dense layer's width; with ``experts`` the widths are ``expert_ffn``.

    ``sliding_layers`` of the layers see only the last ``sliding_window`` tokens. ``quantization`` and
    ``weight_bits`` are what the model's own files declare, None for plain 16-bit weights. ``dtype`` is the
    declared type of the activations.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    max_position: int
    tied: bool = False
    experts: int = 0
    experts_per_token: int = 0
    expert_ffn: int = 0
    shared_expert_ffn: int = 0
    sliding_window: int | None = None
    sliding_layers: int = 0
    quantization: str | None = None
    weight_bits: int | None = None
    dtype: str = "bfloat16"

    @property
    def attention_parameters(self) -> int:
        """Weights of the attention projections, all layers."""
        return self.layers * 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)

    @property
    def expert_parameters(self) -> int:
        """Weights of one expert over all layers; 0 for a dense model."""
        return self.layers * 3 * self.hidden * self.expert_ffn if self.experts else 0

    @property
    def shared_parameters(self) -> int:
        """Linear weights that every token meets: attention, and a dense or shared feed-forward, and routers."""
        if not self.experts:
            return self.attention_parameters + self.layers * 3 * self.hidden * self.ffn
        router = self.layers * self.hidden * self.experts
        return self.attention_parameters + router + self.layers * 3 * self.hidden * self.shared_expert_ffn

    @property
    def linear_parameters(self) -> int:
        """All linear weights (P_lin), embeddings apart."""
        return self.shared_parameters + self.experts * self.expert_parameters

    @property
    def active_parameters(self) -> int:
        """Linear weights multiplied per token (P_act)."""
        return self.shared_parameters + self.experts_per_token * self.expert_parameters

    @property
    def embedding_parameters(self) -> int:
        """Input embedding and, unless tied, the output head."""
        return self.vocab * self.hidden * (1 if self.tied else 2)

    @property
    def active_ffn(self) -> int:
        """Feed-forward width a token passes through."""
        return self.experts_per_token * self.expert_ffn + self.shared_expert_ffn if self.experts else self.ffn

    def renamed(
        self,
        name: str,
        *,
        quantization: str | None = None,
        weight_bits: int | None = None,
        sliding_window: int | None = None,
        sliding_layers: int = 0,
    ) -> ModelFacts:
        """The same shape under another name, with what that name's files declare."""
        return replace(
            self,
            name=name,
            quantization=quantization,
            weight_bits=weight_bits,
            sliding_window=sliding_window,
            sliding_layers=sliding_layers,
        )

    def to_json(self) -> dict[str, object]:
        """Plain JSON values; ``facts_from_json`` reads them back."""
        return asdict(self)


def facts_from_json(data: Mapping[str, Any]) -> ModelFacts | None:
    """Read back ``to_json``, passing over keys of a later version; None when a size is missing."""
    known = {field.name for field in fields(ModelFacts)}
    try:
        return ModelFacts(**{name: value for name, value in data.items() if name in known})
    except TypeError:
        return None
