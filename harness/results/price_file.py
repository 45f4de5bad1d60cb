"""Reads a price table from its file; apart from the store, which brings in what reads records. I/O."""

from __future__ import annotations

from pathlib import Path

import yaml

from harness.errors import ConfigError
from harness.results.prices import PriceTable


def load_prices(path: Path) -> PriceTable:
    """A price table from a YAML file (its form: ``configs/prices.yaml``); ConfigError when unusable."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise ConfigError(f"cannot read the price table '{path}': {reason}") from error
    return PriceTable.parse(document, source=str(path))
