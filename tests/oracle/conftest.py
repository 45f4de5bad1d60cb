"""The recorded verdicts of the real parsers, read once."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
Verdict = tuple[list[str], str | None]


@cache
def read_corpus(version: str) -> tuple[Verdict, ...]:
    with lzma.open(HERE / f"corpus-{version}.jsonl.xz", "rt", encoding="utf-8") as lines:
        return tuple((arguments, error) for arguments, error in map(json.loads, lines))


@cache
def read_handmade(version: str) -> tuple[Verdict, ...]:
    lines = (HERE / "handmade.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple((entry["argv"], entry[version]) for entry in map(json.loads, lines))


@pytest.fixture(scope="session")
def corpus() -> Callable[[str], tuple[Verdict, ...]]:
    """Generated lists with the error of the real parser of a version, None where it accepts."""
    return read_corpus


@pytest.fixture(scope="session")
def handmade() -> Callable[[str], tuple[Verdict, ...]]:
    """Lists written by hand around the parser's subtleties, likewise."""
    return read_handmade
