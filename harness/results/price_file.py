"""Reads a price table from its file; apart from the store, which brings in what reads records. I/O."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ConfigError, UsageError
from harness.results.prices import PriceTable

Prices = PriceTable | Mapping[str, Any] | str | Path


def price_table(given: Prices) -> PriceTable:
    """The table, read from its file or from what would stand in one; UsageError for anything else."""
    if isinstance(given, PriceTable):
        return given
    if isinstance(given, Mapping):
        return PriceTable.parse(given)
    if isinstance(given, str | Path):
        return load_prices(Path(given))
    # Notebooks are not type-checked.
    raise UsageError(
        f"prices are a file such as 'configs/prices.yaml', a mapping or a PriceTable, not {type(given).__name__}"
    )


def load_prices(path: Path) -> PriceTable:
    """A price table from a YAML file (its form: ``configs/prices.yaml``); ConfigError when unusable."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise ConfigError(f"cannot read the price table '{path}': {reason}") from error
    return PriceTable.parse(document, source=str(path))
