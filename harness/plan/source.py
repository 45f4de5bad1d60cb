"""Reads files for the linter and the planner: the one module of this room that does.

Bounded: at most 4 MiB, no deeper than 100 levels, no alias that expands without end; text is UTF-8.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from harness.errors import ConfigError
from harness.plan.findings import Findings
from harness.plan.nodes import Node
from harness.plan.spans import Source

MAX_BYTES = 4 << 20
STDIN = "-"

# Neither YAML, JSON nor TOML may hold these, and a terminal should not see them.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def read_source(path: str) -> Source:
    """The text of a file, or of standard input for ``-``; ConfigError with the reason when it cannot be had."""
    return decode(path, read_bytes(path))


def read_bytes(path: str) -> bytes:
    """At most 4 MiB of a file or of standard input; ConfigError for more, or when it cannot be read."""
    try:
        if path == STDIN:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path!r}: {(error.strerror or str(error)).lower()}") from None
    except ValueError as error:
        raise ConfigError(f"cannot read {path!r}: {error}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES >> 20} MiB, which no configuration is")
    return data


def decode(path: str, data: bytes) -> Source:
    """The bytes as text with its line table; ConfigError with the place of what is not UTF-8 text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start}"
        ) from None
    source = Source.of(path, text)
    control = _CONTROL.search(text)
    if control is not None:
        raise Findings(source).fatal(
            control.span(), f"control character U+{ord(control[0]):04X}: this is not a text file"
        )
    return source


def parse(source: Source, findings: Findings) -> tuple[Node, ...]:
    """The documents in a source, by its suffix: ``.json``, ``.toml``, anything else as YAML."""
    suffix = Path(source.path).suffix.lower()
    if suffix == ".json":
        from harness.plan.json_nodes import compose_json

        return (compose_json(source, findings),)
    if suffix == ".toml":
        from harness.plan.toml_nodes import compose_toml

        return (compose_toml(source, findings),)
    from harness.plan.yaml_nodes import compose_yaml

    return compose_yaml(source, findings)
