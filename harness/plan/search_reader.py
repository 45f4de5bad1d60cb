"""Reads a search in the place of a load level: ``{find: rate, from: 1, duration: 60s}``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.plan.config import LoadLevel, SearchLevel
from harness.plan.nodes import Entries, Node, node_span
from harness.plan.reader import Reader

SEARCH_KEYS = (
    "find", "from", "steps", "arrivals", "burstiness", "duration", "requests", "warmup",
)  # fmt: skip
FINDS = ("rate", "knee")
ARRIVALS = ("poisson", "constant", "gamma")


def is_search(node: Node) -> bool:
    """True for a mapping with ``find`` in it."""
    return isinstance(node, Entries) and any(key.text == "find" for key, _ in node.entries)


def read_search(reader: Reader, node: Node, *, slo: bool) -> list[SearchLevel]:
    """The search, or nothing when it cannot be read; ``slo`` says whether the file has one to keep."""
    entries = reader.entries(node, "a search", SEARCH_KEYS)
    find = reader.word(entries["find"], "find", FINDS)
    if ("duration" in entries) == ("requests" in entries):
        reader.error("value", node, "a search needs either duration or requests, of each of its steps")
        return []
    if find == "rate" and not slo:
        reader.error(
            "missing", node, "find: rate needs slo, which the rate is to keep", hint="slo: ttft_p95<=1s"
        )
    for key in ("arrivals", "burstiness"):
        if key in entries and find == "knee":
            reader.error("value", entries[key], f"{key} goes with find: rate, not with find: knee")
    arrivals = reader.word(entries["arrivals"], "arrivals", ARRIVALS) if "arrivals" in entries else "poisson"
    if "burstiness" in entries and arrivals != "gamma":
        reader.error("value", entries["burstiness"], "burstiness goes with arrivals: gamma")
    start = entries.get("from")
    rate = users = None
    if find == "rate":
        rate = 1.0 if start is None else reader.number(start, "from", above=0)
    elif find == "knee":
        users = 1 if start is None else reader.integer(start, "from", minimum=1, maximum=4096)
    if find is None or (rate is None and users is None):
        return []
    first = LoadLevel(
        concurrency=users,
        rate_per_s=rate,
        arrivals=arrivals or "poisson",
        burstiness=(
            reader.number(entries["burstiness"], "burstiness", above=0) if "burstiness" in entries else None
        )
        or 1.0,
        **read_times(reader, entries),
        requests=reader.integer(entries["requests"], "requests", minimum=1)
        if "requests" in entries
        else None,
    )
    steps = reader.integer(entries["steps"], "steps", minimum=2, maximum=64) if "steps" in entries else None
    return [SearchLevel(find, first) if steps is None else SearchLevel(find, first, steps)]


def read_times(reader: Reader, entries: Mapping[str, Node]) -> dict[str, Any]:
    """How long a level lasts and warms up.

    A warm-up longer than the measurement is taken, with a warning: it looks as if one were meant to be part of the
    other, and the measurement follows it.
    """
    duration = reader.duration(entries["duration"], "duration") if "duration" in entries else None
    warmup = reader.duration(entries["warmup"], "warmup", zero=True) if "warmup" in entries else None
    if duration is not None and warmup is not None and warmup > duration:
        message = (
            f"a warmup of {warmup:g} s is longer than what it is for, the {duration:g} s measured after it"
        )
        reader.findings.warning("long-warmup", node_span(entries["warmup"]), message)
    return {"duration_s": duration, "warmup_s": warmup}
