"""Reads the ``workload`` of a sweep file from its nodes. Pure but for looking up paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.load.tokenizer import tokenizer_place
from harness.plan.config import LengthConfig, WorkloadConfig
from harness.plan.nodes import Entries, Node, Scalar, node_span, plain
from harness.plan.reader import Reader
from harness.plan.spans import Span
from harness.units import MS_PER_S, counted

WORKLOAD_KEYS = (
    "input-tokens", "output-tokens", "prompts", "turns", "think-time", "api", "stream", "seed", "cache",
    "prefix-tokens", "prefix-groups", "tokenizer", "extra",
)  # fmt: skip
LENGTH_KEYS = ("distribution", "mean", "stddev", "min", "max", "values", "weights", "file")
TIME_KEYS = ("distribution", "mean", "stddev", "min", "max")
APIS = ("chat", "completions")
CACHES = ("isolated", "cold", "warm")
SIZES = ("input-tokens", "output-tokens", "turns", "prompts")
SHAPES = ("fixed", "uniform", "normal", "lognormal")
DISTRIBUTIONS = (*SHAPES, "empirical")
ALL_TURNS = "all"
# The most tokens, turns or milliseconds that the load client draws.
MOST = 10_000_000
NEEDED: Mapping[str, Sequence[str]] = {"fixed": ("mean",), "uniform": ("min", "max"), "empirical": ()}


def read_workload(reader: Reader, node: Node) -> WorkloadConfig:
    """What is asked of each endpoint, defaults filled in."""
    entries = reader.entries(node, "workload", WORKLOAD_KEYS)
    default = WorkloadConfig()

    def word(key: str, allowed: Sequence[str], otherwise: str) -> str:
        return (reader.word(entries[key], key, allowed) or otherwise) if key in entries else otherwise

    def integer(key: str, otherwise: int, minimum: int) -> int:
        read = reader.integer(entries[key], key, minimum=minimum) if key in entries else None
        return otherwise if read is None else read

    extra = entries.get("extra")
    if extra is not None and not isinstance(extra, Entries):
        reader.wrong(extra, "extra", "a mapping")
    lengths = {
        key: read_length(reader, entries[key], key) or getattr(default, key.replace("-", "_"))
        for key in ("input-tokens", "output-tokens")
        if key in entries
    }
    _say_what_does_not_go_together(reader, entries)
    return WorkloadConfig(
        input_tokens=lengths.get("input-tokens", default.input_tokens),
        output_tokens=lengths.get("output-tokens", default.output_tokens),
        prompts=existing_file(reader, entries["prompts"], "prompts") if "prompts" in entries else None,
        turns=_turns(reader, entries["turns"]) if "turns" in entries else None,
        in_turns="turns" in entries,
        think_time_ms=_think_time(reader, entries["think-time"]) if "think-time" in entries else None,
        api=word("api", APIS, default.api),
        stream=reader.switch(entries["stream"], "stream") is not False if "stream" in entries else True,
        seed=integer("seed", default.seed, 0),
        cache=word("cache", CACHES, default.cache),
        prefix_tokens=integer("prefix-tokens", default.prefix_tokens, 0),
        prefix_groups=integer("prefix-groups", default.prefix_groups, 1),
        tokenizer=_tokenizer(reader, entries["tokenizer"]) if "tokenizer" in entries else None,
        extra=plain(extra) if isinstance(extra, Entries) else {},
        place=_place(node),
    )


def _place(node: Node) -> Span:
    """Where the lengths of requests stand: the first key that says something of them, else the whole."""
    keys = [key for key, _ in node.entries if key.text in SIZES] if isinstance(node, Entries) else []
    return node_span(keys[0]) if keys else node_span(node)


def _say_what_does_not_go_together(reader: Reader, entries: Mapping[str, Node]) -> None:
    if "think-time" in entries and "turns" not in entries:
        reader.error(
            "value", entries["think-time"], "think-time is the pause between turns: it goes with turns"
        )
    if "prompts" in entries:
        for key in ("input-tokens", "prefix-tokens", "prefix-groups"):
            if key in entries:
                reader.error(
                    "value", entries[key], f"{key} does not go with prompts, which bring their own length"
                )


def _turns(reader: Reader, node: Node) -> LengthConfig | None:
    """A number of turns; None for all that a file's conversations have."""
    if isinstance(node, Scalar) and node.value == ALL_TURNS:
        return None
    return read_length(reader, node, "turns")


def read_length(reader: Reader, node: Node, name: str) -> LengthConfig | None:
    """A number of tokens (or of turns), or a distribution of it."""
    if isinstance(node, Scalar):
        fixed = reader.integer(node, name, minimum=1, maximum=MOST)
        return None if fixed is None else LengthConfig("fixed", mean=float(fixed))
    entries = reader.entries(node, name, LENGTH_KEYS)
    distribution = _distribution(reader, node, entries, name, DISTRIBUTIONS)
    if distribution is None:
        return None
    if distribution == "empirical":
        return _empirical(reader, node, entries, name)
    for key in ("values", "weights", "file"):
        if key in entries:
            reader.error("value", entries[key], f"{key} goes with distribution: empirical")
    numbers: dict[str, float | None]
    limits: dict[str, int | None]
    numbers = {
        key: reader.number(entries[key], key, above=0, most=MOST)
        for key in ("mean", "stddev")
        if key in entries
    }
    limits = {
        key: reader.integer(entries[key], key, minimum=1, maximum=MOST)
        for key in ("min", "max")
        if key in entries
    }
    return _shaped(reader, entries, distribution, numbers=numbers, limits=limits)


def _think_time(reader: Reader, node: Node) -> LengthConfig | None:
    """A pause or a distribution of it, in milliseconds; None for none."""
    if isinstance(node, Scalar):
        seconds = _pause(reader, node, "think-time", zero=True)
        return LengthConfig("fixed", mean=max(1.0, seconds * MS_PER_S)) if seconds else None
    entries = reader.entries(node, "think-time", TIME_KEYS)
    distribution = _distribution(reader, node, entries, "think-time", SHAPES)
    if distribution is None:
        return None
    seconds_of = {key: _pause(reader, value, key) for key, value in entries.items() if key != "distribution"}
    in_ms = {key: None if seconds is None else seconds * MS_PER_S for key, seconds in seconds_of.items()}
    limits: dict[str, int | None] = {
        key: None if in_ms[key] is None else max(1, round(in_ms[key] or 0))
        for key in ("min", "max")
        if key in in_ms
    }
    return _shaped(reader, entries, distribution, numbers=in_ms, limits=limits)


def _pause(reader: Reader, node: Node, name: str, *, zero: bool = False) -> float | None:
    """Seconds of a pause that the load client can draw."""
    seconds = reader.duration(node, name, zero=zero)
    if seconds is not None and seconds * MS_PER_S > MOST:
        reader.error("value", node, f"{name} must be {MOST / MS_PER_S:,.0f} s or less")
        return None
    return seconds


def _distribution(
    reader: Reader, node: Node, entries: Mapping[str, Node], name: str, known: Sequence[str]
) -> str | None:
    """The distribution's name, if it has one and all that it needs."""
    if "distribution" not in entries:
        if isinstance(node, Entries):
            reader.error("missing", node, f"{name} needs a distribution: {', '.join(known)}")
        return None
    distribution = reader.word(entries["distribution"], "distribution", known)
    if distribution is None:
        return None
    lacking = [key for key in NEEDED.get(distribution, ("mean", "stddev")) if key not in entries]
    if lacking:
        reader.error("missing", node, f"a {distribution} length needs {' and '.join(lacking)}")
        return None
    return distribution


def _shaped(
    reader: Reader,
    entries: Mapping[str, Node],
    distribution: str,
    *,
    numbers: Mapping[str, float | None],
    limits: Mapping[str, int | None],
) -> LengthConfig | None:
    low, high = limits.get("min"), limits.get("max")
    if low is not None and high is not None and low > high:
        reader.error("value", entries["min"], f"min {low} is greater than max {high}")
        return None
    return LengthConfig(distribution, numbers.get("mean"), numbers.get("stddev"), low, high)


def _empirical(reader: Reader, node: Node, entries: Mapping[str, Node], name: str) -> LengthConfig | None:
    """Observed values, perhaps weighted, written out or in a file."""
    if ("values" in entries) == ("file" in entries):
        reader.error("missing", node, "an empirical length needs either values or a file")
        return None
    if "file" in entries:
        return LengthConfig("empirical", file=existing_file(reader, entries["file"], "file"))
    items = reader.items(entries["values"], "values")
    values = [reader.integer(item, name, minimum=1, maximum=MOST) for item in items]
    weights: list[float | None] = []
    if "weights" in entries:
        weights = [
            reader.number(item, "a weight", above=0) for item in reader.items(entries["weights"], "weights")
        ]
        if len(weights) != len(values):
            reader.error(
                "value",
                entries["weights"],
                f"{counted(len(weights), 'weight')} for {counted(len(values), 'value')}",
            )
            return None
    known = tuple(value for value in values if value is not None)
    known_weights = tuple(weight for weight in weights if weight is not None)
    if not known or len(known) < len(values) or len(known_weights) < len(weights):
        if not values:
            reader.error("value", entries["values"], "an empirical length needs at least one value")
        return None
    return LengthConfig("empirical", values=known, weights=known_weights)


def _tokenizer(reader: Reader, node: Node) -> str | None:
    """The path of a ``tokenizer.json``, given as the file or as the folder that holds it."""
    path = reader.text(node, "tokenizer")
    if path is None:
        return None
    place = tokenizer_place(Path(reader.source.path).parent / path)
    if not place.is_file():
        reader.error("value", node, f"no tokenizer at {path!r}", note=f"looked for {place}")
    return str(place)


def existing_file(reader: Reader, node: Node, name: str) -> str | None:
    """The path of a file, taken from the sweep file's folder; one that is not there is reported."""
    path = reader.text(node, name)
    if path is None:
        return None
    place = Path(reader.source.path).parent / path
    if not place.is_file():
        reader.error("value", node, f"no such file: {path!r}", note=f"looked for {place}")
    return str(place)
