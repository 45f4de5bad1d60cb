"""Reads a whole sweep file from its nodes: every key, its type and its limits. Pure but for looking up paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.plan.config import (
    AXES,
    LengthConfig,
    LoadLevel,
    SweepConfig,
    Timeouts,
    WorkloadConfig,
)
from harness.plan.findings import Findings
from harness.plan.matrix_reader import read_matrix
from harness.plan.nodes import Entries, Items, Node, Scalar, plain
from harness.plan.pruning import read_prune
from harness.plan.reader import Reader
from harness.plan.spans import Source

KEYS = (
    "name", "question", "zone", *AXES, "models", "matrix", "exclude", "include",
    "workload", "load", "repeats", "slo", "prune", "timeouts", "engines", "engine-environment",
)  # fmt: skip
WORKLOAD_KEYS = (
    "input-tokens", "output-tokens", "api", "seed", "cache", "prefix-tokens", "prefix-groups", "extra",
)  # fmt: skip
LENGTH_KEYS = ("distribution", "mean", "stddev", "min", "max")
LEVEL_KEYS = ("concurrency", "rate", "arrivals", "burstiness", "duration", "requests", "warmup")
TIMEOUT_KEYS = ("ready", "operation", "delete", "request")
APIS = ("chat", "completions")
CACHES = ("isolated", "cold", "warm")
ARRIVALS = ("poisson", "constant", "gamma")
DISTRIBUTIONS = ("fixed", "uniform", "normal", "lognormal")

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


def read_config(source: Source, documents: Sequence[Node], findings: Findings) -> SweepConfig | None:
    """The configuration, or None when the file holds nothing to read; problems go to ``findings``."""
    reader = Reader(source, findings)
    if len(documents) != 1 or not isinstance(documents[0], Entries):
        where = (
            (0, min(1, len(source.text))) if not documents else (documents[-1].start, documents[-1].start + 1)
        )
        findings.error(
            "type", where, "a sweep file holds one mapping: name, model, matrix, workload, load, …"
        )
        return None
    root = documents[0]
    top = reader.entries(root, "a sweep file", KEYS)
    text = {key: reader.text(top[key], key) for key in ("question", "zone", "slo") if key in top}
    load = read_load(reader, top["load"]) if "load" in top else ()
    if "load" not in top:
        findings.error(
            "missing",
            (root.start, root.start + 1),
            "load is missing: a list of levels",
            hint="- {concurrency: [1, 8], duration: 30s}",
        )
    return SweepConfig(
        source=source,
        name=_name(reader, top, source),
        matrix=read_matrix(reader, top, root),
        load=load,
        workload=read_workload(reader, top["workload"]) if "workload" in top else WorkloadConfig(),
        timeouts=_timeouts(reader, top["timeouts"]) if "timeouts" in top else Timeouts(),
        question=text.get("question"),
        zone=text.get("zone"),
        slo=text.get("slo"),
        prune=read_prune(reader, top["prune"]) if "prune" in top else None,
        repeats=(reader.integer(top["repeats"], "repeats", minimum=1, maximum=1000) or 1)
        if "repeats" in top
        else 1,
        models=_models(reader, top["models"]) if "models" in top else {},
        engines=_texts(reader, top["engines"], "engines") if "engines" in top else {},
        engine_environment=_texts(reader, top["engine-environment"], "engine-environment")
        if "engine-environment" in top
        else {},
    )


def _name(reader: Reader, top: Mapping[str, Node], source: Source) -> str:
    """The sweep's name; the file's own name in the same alphabet when it gives none."""
    if "name" not in top:
        stem = re.sub(r"[^a-z0-9]+", "-", Path(source.path).stem.lower()).strip("-")[:40].strip("-")
        return stem or "sweep"
    name = reader.text(top["name"], "name")
    if name is not None and not _NAME.fullmatch(name):
        reader.error(
            "value", top["name"], "a name has 1 to 40 characters of a-z, 0-9 and -, with no - at its ends"
        )
    return name or "sweep"


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
    return WorkloadConfig(
        input_tokens=lengths.get("input-tokens", default.input_tokens),
        output_tokens=lengths.get("output-tokens", default.output_tokens),
        api=word("api", APIS, default.api),
        seed=integer("seed", default.seed, 0),
        cache=word("cache", CACHES, default.cache),
        prefix_tokens=integer("prefix-tokens", default.prefix_tokens, 0),
        prefix_groups=integer("prefix-groups", default.prefix_groups, 1),
        extra=plain(extra) if isinstance(extra, Entries) else {},
    )


def read_length(reader: Reader, node: Node, name: str) -> LengthConfig | None:
    """A number of tokens, or a distribution of them."""
    if isinstance(node, Scalar):
        fixed = reader.integer(node, name, minimum=1)
        return None if fixed is None else LengthConfig("fixed", mean=float(fixed))
    entries = reader.entries(node, name, LENGTH_KEYS)
    if "distribution" not in entries:
        if isinstance(node, Entries):
            reader.error("missing", node, f"{name} needs a distribution: {', '.join(DISTRIBUTIONS)}")
        return None
    distribution = reader.word(entries["distribution"], "distribution", DISTRIBUTIONS)
    if distribution is None:
        return None
    numbers = {key: reader.number(entries[key], key, above=0) for key in ("mean", "stddev") if key in entries}
    limits = {key: reader.integer(entries[key], key, minimum=1) for key in ("min", "max") if key in entries}
    needed = {"fixed": ("mean",), "uniform": ("min", "max")}.get(distribution, ("mean", "stddev"))
    lacking = [key for key in needed if key not in entries]
    if lacking:
        reader.error("missing", node, f"a {distribution} length needs {' and '.join(lacking)}")
        return None
    low, high = limits.get("min"), limits.get("max")
    if low is not None and high is not None and low > high:
        reader.error("value", entries["min"], f"min {low} is greater than max {high}")
        return None
    return LengthConfig(distribution, numbers.get("mean"), numbers.get("stddev"), low, high)


def read_load(reader: Reader, node: Node) -> tuple[LoadLevel, ...]:
    """The levels in order; a list of concurrencies or rates makes one level each."""
    if not isinstance(node, Items) or not node.items:
        reader.wrong(node, "load", "a list of levels", hint="- {concurrency: [1, 8], duration: 30s}")
        return ()
    return tuple(level for item in node.items for level in _levels(reader, item))


def _levels(reader: Reader, node: Node) -> list[LoadLevel]:
    entries = reader.entries(node, "a load level", LEVEL_KEYS)
    if not isinstance(node, Entries):
        return []
    if ("concurrency" in entries) == ("rate" in entries):
        reader.error("value", node, "a load level needs either concurrency or rate")
        return []
    if ("duration" in entries) == ("requests" in entries):
        reader.error("value", node, "a load level needs either duration or requests")
        return []
    for key in ("arrivals", "burstiness"):
        if key in entries and "rate" not in entries:
            reader.error("value", entries[key], f"{key} goes with rate, not with concurrency")
    arrivals = reader.word(entries["arrivals"], "arrivals", ARRIVALS) if "arrivals" in entries else "poisson"
    burstiness = (
        reader.number(entries["burstiness"], "burstiness", above=0) if "burstiness" in entries else 1.0
    )
    if "burstiness" in entries and arrivals != "gamma":
        reader.error("value", entries["burstiness"], "burstiness goes with arrivals: gamma")
    duration_s = reader.duration(entries["duration"], "duration") if "duration" in entries else None
    requests = reader.integer(entries["requests"], "requests", minimum=1) if "requests" in entries else None
    warmup_s = reader.duration(entries["warmup"], "warmup", zero=True) if "warmup" in entries else None
    shared = (arrivals or "poisson", burstiness or 1.0, duration_s, requests, warmup_s)
    if "concurrency" in entries:
        return [
            LoadLevel(concurrency, None, *shared)
            for item in reader.items(entries["concurrency"], "concurrency")
            if (concurrency := reader.integer(item, "concurrency", minimum=1, maximum=100_000)) is not None
        ]
    return [
        LoadLevel(None, rate, *shared)
        for item in reader.items(entries["rate"], "rate")
        if (rate := reader.number(item, "rate", above=0)) is not None
    ]


def _timeouts(reader: Reader, node: Node) -> Timeouts:
    entries = reader.entries(node, "timeouts", TIMEOUT_KEYS)
    read = {f"{key}_s": reader.duration(value, key) for key, value in entries.items()}
    return Timeouts(**{key: seconds for key, seconds in read.items() if seconds is not None})


def _models(reader: Reader, node: Node) -> dict[str, str]:
    """Paths of config.json files by model id, relative ones taken from the sweep file's folder."""
    paths: dict[str, str] = {}
    for model, value in reader.entries(node, "models").items():
        entry = reader.entries(value, f"models.{model}", ("config",))
        path = reader.text(entry["config"], "config") if "config" in entry else None
        if path is None:
            if isinstance(value, Entries) and "config" not in entry:
                reader.error("missing", value, f"models.{model} needs config: the path of its config.json")
            continue
        place = Path(reader.source.path).parent / path
        if not place.is_file():
            reader.error("value", entry["config"], f"no such file: {path!r}", note=f"looked for {place}")
        paths[model] = str(place)
    return paths


def _texts(reader: Reader, node: Node, name: str) -> dict[str, str]:
    """A mapping of texts: what was read of it."""
    texts: dict[str, str] = {}
    for key, value in reader.entries(node, name).items():
        text = reader.text(value, f"{name}.{key}")
        if text is not None:
            texts[key] = text
    return texts
