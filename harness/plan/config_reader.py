"""Reads a whole sweep file from its nodes: every key, its type and its limits. Pure but for looking up paths."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.load.slo import PRESETS, Slo
from harness.plan.config import (
    AXES,
    LoadLevel,
    SearchLevel,
    SweepConfig,
    Timeouts,
    WorkloadConfig,
)
from harness.plan.findings import Findings, did_you_mean
from harness.plan.matrix_reader import read_matrix
from harness.plan.nodes import Entries, Items, Node, Scalar, node_span, shorten
from harness.plan.pruning import read_prune
from harness.plan.reader import Reader
from harness.plan.search_reader import ARRIVALS, is_search, read_search, read_times
from harness.plan.spans import Source
from harness.plan.workload_reader import ALL_TURNS, existing_file, read_workload

KEYS = (
    "name", "question", "zone", *AXES, "models", "matrix", "exclude", "include",
    "workload", "load", "repeats", "slo", "early-stop", "prune", "timeouts", "engines", "engine-environment",
)  # fmt: skip
LOADS = ("concurrency", "rate", "ramp", "steps", "trace")
OPEN_LOADS = LOADS[1:]
LEVEL_KEYS = (
    *LOADS, "arrivals", "burstiness", "stretch", "max-in-flight", "duration", "requests", "warmup",
)  # fmt: skip
# Keys that mean something beside some loads only.
BESIDE = {"arrivals": ("rate",), "burstiness": ("rate",), "stretch": ("trace",), "max-in-flight": OPEN_LOADS}
TIMEOUT_KEYS = ("ready", "operation", "delete", "request")
# Of the API document; a younger one may have more.
ZONES = (
    "at-vie-1", "at-vie-2", "bg-sof-1", "ch-dk-2", "ch-gva-2", "de-fra-1", "de-muc-1", "hr-zag-1",
)  # fmt: skip

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
    load = read_load(reader, top["load"], slo="slo" in top) if "load" in top else ()
    _say_what_prompts_lack(reader, top)
    if "load" not in top:
        findings.error(
            "missing",
            (root.start, root.start + 1),
            "load is missing: a list of levels",
            hint="- {concurrency: [1, 8], duration: 30s}",
        )
    matrix = read_matrix(reader, top, root)
    return SweepConfig(
        source=source,
        name=_name(reader, top, source),
        matrix=matrix,
        load=load,
        workload=read_workload(reader, top["workload"]) if "workload" in top else WorkloadConfig(),
        timeouts=_timeouts(reader, top["timeouts"]) if "timeouts" in top else Timeouts(),
        question=reader.text(top["question"], "question") if "question" in top else None,
        zone=_zone(reader, top["zone"]) if "zone" in top else None,
        slo=_slo(reader, top["slo"]) if "slo" in top else None,
        early_stop=reader.switch(top["early-stop"], "early-stop") if "early-stop" in top else None,
        prune=read_prune(reader, top["prune"]) if "prune" in top else None,
        repeats=(reader.integer(top["repeats"], "repeats", minimum=1, maximum=1000) or 1)
        if "repeats" in top
        else 1,
        models=_models(reader, top["models"], matrix.models) if "models" in top else {},
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


def _zone(reader: Reader, node: Node) -> str | None:
    """A zone. One that is not known is a warning, for zones are added."""
    zone = reader.text(node, "zone")
    if zone is not None and zone not in ZONES:
        note = did_you_mean(zone, ZONES) or f"known: {', '.join(ZONES)}"
        reader.findings.warning("value", node_span(node), f"no zone {shorten(zone)!r} is known", note=note)
    return zone


def _slo(reader: Reader, node: Node) -> str | None:
    """The objective's text, if it can be read."""
    text = reader.text(node, "slo")
    if text is None:
        return None
    try:
        Slo.parse(text)
    except UsageError as error:
        near = did_you_mean(text, PRESETS) if text.startswith("mlperf") else None
        reader.error("value", node, str(error), note=near)
        return None
    return text


def _say_what_prompts_lack(reader: Reader, top: Mapping[str, Node]) -> None:
    """A trace is replayed from prompts that have times, and ``turns: all`` are the turns that prompts have."""
    workload, load = top.get("workload"), top.get("load")
    if isinstance(workload, Entries) and workload.get("prompts") is not None:
        return
    turns = workload.get("turns") if isinstance(workload, Entries) else None
    if isinstance(turns, Scalar) and turns.value == ALL_TURNS:
        reader.error("missing", turns, "turns: all is for prompts that bring their turns, and none are named")
    for level in load.items if isinstance(load, Items) else ():
        if isinstance(level, Entries) and level.get("trace") is not None:
            reader.error("missing", level, "a load level replays a trace, but no prompts are named")


def read_load(reader: Reader, node: Node, *, slo: bool) -> tuple[LoadLevel | SearchLevel, ...]:
    """The levels in order; a list of concurrencies or rates makes one level each. ``slo``: the file has one."""
    hint = "- {concurrency: [1, 8], duration: 30s}"
    if not isinstance(node, Items):
        reader.wrong(node, "load", "a list of levels", hint=hint)
        return ()
    if not node.items:
        reader.error("value", node, "load has no level", hint=hint)
    read: list[LoadLevel | SearchLevel] = []
    for item in node.items:
        read += read_search(reader, item, slo=slo) if is_search(item) else _levels(reader, item)
    return tuple(read)


def _levels(reader: Reader, node: Node) -> list[LoadLevel]:
    entries = reader.entries(node, "a load level", LEVEL_KEYS)
    if not isinstance(node, Entries):
        return []
    loads = [key for key in LOADS if key in entries]
    if len(loads) != 1:
        kinds = f"{', '.join(LOADS[:-1])} or {LOADS[-1]}"
        reader.error("value", node, f"a load level needs either {kinds} (or find: rate, find: knee)")
        return []
    load = loads[0]
    for key, beside in BESIDE.items():
        if key in entries and load not in beside:
            reader.error("value", entries[key], f"{key} goes with {' or '.join(beside)}, not with {load}")
    if not _has_its_end(reader, node, entries, load):
        return []
    shared = _shared(reader, entries)
    return [LoadLevel(**own, **shared, place=node_span(node)) for own in _own(reader, entries, load)]


def _has_its_end(reader: Reader, node: Node, entries: Mapping[str, Node], load: str) -> bool:
    """True when a level says how long it lasts; a trace may leave it at its own length."""
    ends = [key for key in ("duration", "requests") if key in entries]
    if load in ("ramp", "steps") and "duration" not in ends:
        reader.error("value", node, f"{load} needs a duration, over which the rate changes")
        return False
    if len(ends) != 1 and not (load == "trace" and not ends):
        reader.error("value", node, "a load level needs either duration or requests")
        return False
    return True


def _shared(reader: Reader, entries: Mapping[str, Node]) -> dict[str, Any]:
    """What a level has beside its load."""
    arrivals = reader.word(entries["arrivals"], "arrivals", ARRIVALS) if "arrivals" in entries else "poisson"
    burstiness = (
        reader.number(entries["burstiness"], "burstiness", above=0) if "burstiness" in entries else 1.0
    )
    if "burstiness" in entries and arrivals != "gamma":
        reader.error("value", entries["burstiness"], "burstiness goes with arrivals: gamma")
    limits = {
        key: reader.integer(entries[key], key, minimum=1)
        for key in ("requests", "max-in-flight")
        if key in entries
    }
    return {
        "arrivals": arrivals or "poisson",
        "burstiness": burstiness or 1.0,
        **read_times(reader, entries),
        "requests": limits.get("requests"),
        "max_in_flight": limits.get("max-in-flight"),
    }


def _own(reader: Reader, entries: Mapping[str, Node], load: str) -> list[dict[str, Any]]:
    """Each level's load: one for every value of a list, one for a ramp or steps."""
    node = entries[load]
    if load == "concurrency":
        users = [reader.integer(item, load, minimum=1, maximum=100_000) for item in _some(reader, node, load)]
        return [{"concurrency": count} for count in users if count is not None]
    if load == "rate":
        rates = [reader.number(item, load, above=0) for item in _some(reader, node, load)]
        return [{"rate_per_s": rate} for rate in rates if rate is not None]
    if load == "trace":
        if reader.switch(node, load) is False:
            reader.error("value", node, "trace is true, or left out")
        factors: list[float | None] = [1.0]
        if "stretch" in entries:
            stretches = _some(reader, entries["stretch"], "stretch")
            factors = [reader.number(item, "stretch", above=0) for item in stretches]
        return [{"trace": True, "stretch": factor} for factor in factors if factor is not None]
    return _varying(reader, node, load)


def _some(reader: Reader, node: Node, name: str) -> Sequence[Node]:
    """A list's items, or the one value; an empty list would make no level at all."""
    items = reader.items(node, name)
    if isinstance(node, Items) and not items:
        reader.error("value", node, f"{name} needs at least one value")
    return items


def _varying(reader: Reader, node: Node, load: str) -> list[dict[str, Any]]:
    """The rates of a ramp or of steps; some of them may be 0."""
    rates = [reader.number(item, load, least=0) for item in reader.items(node, load)]
    known = tuple(rate for rate in rates if rate is not None)
    if len(known) < len(rates):
        return []
    if load == "ramp" and len(known) != 2:
        reader.error("value", node, "ramp is two rates: [from, to]")
        return []
    if not any(known):
        reader.error("value", node, f"{load} needs a rate above 0")
        return []
    return [{load: known}]


def _timeouts(reader: Reader, node: Node) -> Timeouts:
    entries = reader.entries(node, "timeouts", TIMEOUT_KEYS)
    read = {f"{key}_s": reader.duration(value, key) for key, value in entries.items()}
    return Timeouts(**{key: seconds for key, seconds in read.items() if seconds is not None})


def _models(reader: Reader, node: Node, used: Collection[str]) -> dict[str, str]:
    """Paths of config.json files by model id, relative ones taken from the sweep file's folder.

    One for a model that no cell has is a slip in either name.
    """
    paths: dict[str, str] = {}
    for key, _ in node.entries if isinstance(node, Entries) else ():
        if used and key.text not in used:
            message = f"no cell has the model {shorten(key.text)!r}, so its config.json is not used"
            note = did_you_mean(key.text, used) or f"models: {', '.join(sorted(used)[:8])}"
            reader.findings.warning("no-effect", node_span(key), message, note=note)
    for model, value in reader.entries(node, "models").items():
        entry = reader.entries(value, f"models.{model}", ("config",))
        path = existing_file(reader, entry["config"], "config") if "config" in entry else None
        if path is None:
            if isinstance(value, Entries) and "config" not in entry:
                reader.error("missing", value, f"models.{model} needs config: the path of its config.json")
            continue
        paths[model] = path
    return paths


def _texts(reader: Reader, node: Node, name: str) -> dict[str, str]:
    """A mapping of texts: what was read of it."""
    texts: dict[str, str] = {}
    for key, value in reader.entries(node, name).items():
        text = reader.text(value, f"{name}.{key}")
        if text is not None:
            texts[key] = text
    return texts
