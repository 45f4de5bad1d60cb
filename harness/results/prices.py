"""A table of what a deployment costs per hour, as the user states it; nothing here knows a price. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigError

_KEYS = ("currency", "as-of", "what", "per-hour")


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices per replica and hour, by GPU family and GPUs per replica.

    ``what`` says what the figures are prices of (compute instances, an offer, an invoice) and ``as_of`` when they
    held; both are printed wherever a cost is. ``per_hour`` maps family, then count, to the price.
    """

    currency: str
    as_of: str
    what: str
    per_hour: Mapping[str, Mapping[int, float]]

    def per_replica_hour(self, gpu_type: str, gpu_count: int) -> float | None:
        """The price of one replica for one hour; None when the table does not state that family and count."""
        return self.per_hour.get(gpu_type, {}).get(gpu_count)

    @classmethod
    def parse(cls, document: object, *, source: str = "prices") -> PriceTable:
        """The table in a parsed YAML or JSON document; ConfigError says what is missing or not a price."""
        if not isinstance(document, Mapping):
            raise ConfigError(f"{source}: expected a mapping with the keys {', '.join(_KEYS)}")
        unknown = sorted(str(key) for key in document if key not in _KEYS)
        missing = [key for key in _KEYS if key not in document]
        if unknown:
            raise ConfigError(f"{source}: unknown key '{unknown[0]}'; keys: {', '.join(_KEYS)}")
        if missing:
            raise ConfigError(f"{source}: key '{missing[0]}' is missing")
        families = document["per-hour"]
        if not isinstance(families, Mapping):
            raise ConfigError(f"{source}: 'per-hour' maps a gpu-type to its prices by gpu-count")
        return cls(
            currency=str(document["currency"]),
            as_of=str(document["as-of"]),
            what=str(document["what"]),
            per_hour={str(family): _by_count(family, prices, source) for family, prices in families.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, readable by ``parse``."""
        return {
            "currency": self.currency,
            "as-of": self.as_of,
            "what": self.what,
            "per-hour": {f: {str(n): price for n, price in by.items()} for f, by in self.per_hour.items()},
        }


def _by_count(family: object, prices: object, source: str) -> dict[int, float]:
    if not isinstance(prices, Mapping):
        raise ConfigError(f"{source}: '{family}' maps a gpu-count to a price per hour")
    found: dict[int, float] = {}
    for count, price in prices.items():
        number = isinstance(price, int | float) and not isinstance(price, bool)
        if not str(count).isdigit() or not number or not 0 <= price < float("inf"):
            raise ConfigError(
                f"{source}: '{family}' has '{count}: {price}'; expected a count and a price per hour"
            )
        found[int(str(count))] = float(price)
    return found
