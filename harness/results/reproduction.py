"""The commands that do a sweep again: the whole of it, and each load level on any endpoint. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from harness.errors import UsageError
from harness.load.conversations import conversations_from_json, think_time_text
from harness.load.lengths import lengths_from_json, text_of
from harness.results.document import Section, Table, TableCell
from harness.results.resolved import CALIBRATION_INPUT, FAULTS_INPUT, PRICES_INPUT, Resolved
from harness.units import exact

# A distribution that takes more characters comes from a file of its own.
LONGEST_LENGTHS = 200
# A sweep's terms, as its journal has them.
SWITCHES = {"reuse": "--reuse", "delete_models": "--delete-models"}
AMOUNTS = {
    "parallel": "--parallel-deployments",
    "max_gpu_hours": "--max-gpu-hours",
    "max_cost": "--max-cost",
    "ttl_s": "--ttl",
    "time_scale": "--time-scale",
    "seed": "--seed",
}
IN_FOLDER = "to be run in this folder, which keeps the files that config.yaml names"
IN_PLACE = (
    "with this folder's config.yaml put back where it was, since the files it names are looked for beside it"
)
LIMITS = {
    "--duration": "duration_s",
    "--requests": "requests",
    "--warmup": "warmup_s",
    "--timeout": "timeout_s",
    "--max-in-flight": "max_in_flight",
}


def reproduction_section(resolved: Resolved, started: Mapping[str, Any] | None = None) -> Section:
    """The sweep's command, and one for each load level; a level's arrivals come from the seed and its place.

    ``started`` is what the journal says of the attempt's terms.
    """
    rows = tuple(
        (
            TableCell(str(stage.get("label", f"level {place}"))),
            TableCell(load_command(stage, resolved, seed=resolved.seed + place), code=True),
        )
        for place, stage in enumerate(resolved.load)
    )
    whole = sweep_command(resolved, started)
    rows = ((TableCell("the whole sweep"), TableCell(whole, code=True)), *rows)
    texts = [
        f"The whole sweep: {IN_PLACE if resolved.inputs is None else IN_FOLDER}. One load level: against an endpoint "
        "that runs a cell's parameters; put its address for URL."
    ]
    if any("FILE" in command.text for _, command in rows):
        texts.append("FILE is the one that config.yaml names in that place.")
    if any(stage.get("find") for stage in resolved.load):
        texts.append(
            "One step of a search: its command without --find and --find-steps, with the step's own --rate or "
            "--concurrency."
        )
    return Section("To reproduce", tuple(texts), tables=(Table("Commands", ("What", "Command"), rows),))


def sweep_command(resolved: Resolved, started: Mapping[str, Any] | None = None) -> str:
    """``harness sweep`` as this one was deployed, pruned, priced and limited; run in its folder, beside which the
    results go."""
    started = started or {}
    terms: Mapping[str, Any] = started.get("terms") or {}
    inputs = resolved.inputs or ()
    words = ["harness", "sweep", "config.yaml"]
    words += ["--simulate"] if resolved.simulated else []
    words += ["--virtual"] if resolved.virtual else []
    words += {"local": ["--local"], "existing": ["--endpoint", "URL"]}.get(resolved.deployer, [])
    if resolved.deployer == "local":
        words += _pairs("--engine", started.get("engines")) + _pairs(
            "--model-path", started.get("model_paths")
        )
    elif started.get("zone") and not resolved.simulated:
        words += ["--zone", str(started["zone"])]
    words += ["--prune", resolved.prune] if resolved.prune else []
    words += ["--no-prune"] if terms.get("prune") == "" else []
    if resolved.prices is not None:
        words += ["--prices", PRICES_INPUT if PRICES_INPUT in inputs else "PRICES"]
    words += ["--calibration", CALIBRATION_INPUT] if CALIBRATION_INPUT in inputs else []
    words += ["--faults", FAULTS_INPUT] if FAULTS_INPUT in inputs else []
    for name, option in SWITCHES.items():
        words += [option] if terms.get(name) else []
    for name, option in AMOUNTS.items():
        words += [option, exact(terms[name])] if terms.get(name) is not None else []
    words += [] if resolved.inputs is None else ["--results", f"../{resolved.name}-again"]
    return shlex.join(words)


def _pairs(option: str, values: Mapping[str, str] | None) -> list[str]:
    return [word for key, value in (values or {}).items() for word in (option, f"{key}={value}")]


def load_command(stage: Mapping[str, Any], resolved: Resolved, *, seed: int) -> str:
    """``harness load`` with this level's arrivals, limits and search, and the sweep's workload."""
    words = ["harness", "load", "URL", *_arrivals(stage)]
    for option, key in LIMITS.items():
        if stage.get(key) is not None:
            words += [option, exact(stage[key])]
    words += [*_search(stage, resolved.slo), *_workload(resolved.workload)]
    return shlex.join([*words, "--seed", str(seed)])


def _arrivals(stage: Mapping[str, Any]) -> list[str]:
    if "concurrency" in stage:
        return ["--concurrency", f"{stage['concurrency']}"]
    if "start_req_s" in stage:
        return ["--ramp", _listed(stage["start_req_s"], stage["end_req_s"])]
    if "rates_req_s" in stage:
        return ["--steps", _listed(*stage["rates_req_s"])]
    if "stretch" in stage:
        return ["--stretch", exact(stage["stretch"])]
    if "rate_req_s" not in stage:
        return []
    arrivals = str(stage.get("kind", "poisson-rate")).removesuffix("-rate")
    words = ["--rate", exact(stage["rate_req_s"]), "--arrivals", arrivals]
    return [*words, "--burstiness", exact(stage["burstiness"])] if "burstiness" in stage else words


def _listed(*rates: float) -> str:
    return ",".join(map(exact, rates))


def _search(stage: Mapping[str, Any], slo: str | None) -> list[str]:
    """What is searched for, and when a level counts as lost."""
    find = stage.get("find")
    words = ["--find", str(find)] if find else []
    words += ["--find-steps", str(stage["most_steps"])] if find and "most_steps" in stage else []
    words += ["--slo", slo] if slo else []
    if "early_stop" in stage and stage["early_stop"] != bool(slo or find):
        words.append("--early-stop" if stage["early_stop"] else "--no-early-stop")
    return words


def _workload(workload: Mapping[str, Any]) -> list[str]:
    words = ["--prompts", "FILE"] if workload.get("items") else []
    for option in ("--input-tokens", "--output-tokens"):
        # Files of the first versions have the config's own words.
        key = option.removeprefix("--")
        lengths = _lengths(workload.get(key.replace("-", "_"), workload.get(key)))
        words += [option, lengths] if lengths else []
    if (said := workload.get("conversations")) is not None:
        held = conversations_from_json(said)
        words += ["--turns", "all" if held.turns is None else text_of(held.turns)]
        words += [] if held.think_time_ms is None else ["--think-time", think_time_text(held.think_time_ms)]
    if prefixes := workload.get("shared_prefixes"):
        words += ["--shared-prefix", f"{prefixes['groups']},{prefixes['tokens']}"]
    words += ["--tokenizer", str(workload["tokenizer"])] if workload.get("tokenizer") else []
    words += ["--no-stream"] if workload.get("streamed") is False else []
    words += [f"--{key}={workload[key]}" for key in ("api", "cache") if isinstance(workload.get(key), str)]
    return [*words, "--extra", json.dumps(workload["extra"])] if workload.get("extra") else words


def _lengths(value: object) -> str | None:
    """The distribution as text; None for one that this version does not know."""
    try:
        text = text_of(lengths_from_json(value))
    except UsageError:
        return None
    return text if len(text) <= LONGEST_LENGTHS else "@FILE"
