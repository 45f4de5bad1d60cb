"""The options of ``harness load`` read into the load client's types."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import click

from harness.errors import UsageError
from harness.load.arrivals import Arrivals, ClosedLoop, ConstantRate, GammaRate, PoissonRate, TraceReplay
from harness.load.lengths import parse_lengths
from harness.load.prompt_files import PromptFile
from harness.load.stage import Stage
from harness.load.workload import SharedPrefixes, Workload
from harness.secret import Secret
from harness.units import parse_duration

DEFAULT_CONCURRENCY = "1"
LIMITS = ("requests", "warmup_s", "timeout_s", "drain_s", "max_in_flight")


def duration(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """An option's duration in seconds."""
    try:
        return None if value is None else parse_duration(value)
    except ValueError as error:
        raise UsageError(str(error)) from error


def figures(text: str | None, *, kind: Callable[[str], Any], what: str) -> list[Any]:
    """Numbers separated by commas."""
    try:
        return [kind(part) for part in text.split(",")] if text else []
    except ValueError as error:
        raise UsageError(f"not a {what}: {text!r}; try 8 or 1,4,16") from error


def key_from(variable: str | None) -> Secret | None:
    """The key in an environment variable; UsageError when it is named and not there."""
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise UsageError(f"the environment variable {variable!r} of --api-key-env is not set")
    return Secret(value)


def stages_from(options: dict[str, Any], prompts: PromptFile | None) -> list[Stage]:
    """One stage per concurrency or rate, in the order given."""
    if options["concurrency"] and options["rate"]:
        raise UsageError("--concurrency and --rate do not go together: a load is a closed or an open loop")
    limits = {name: options[name] for name in LIMITS}
    duration_s = options["duration_s"]
    if prompts is not None and prompts.times_s is not None:
        if options["concurrency"] or options["rate"]:
            raise UsageError("a trace brings its own times: leave --concurrency and --rate out")
        replay = TraceReplay(prompts.times_s, options["stretch"])
        whole_s = max(prompts.times_s) * options["stretch"] + 1.0
        return [Stage(arrivals=replay, duration_s=duration_s or whole_s, **limits)]
    if duration_s is None and options["requests"] is None:
        duration_s = 30.0
    rates = figures(options["rate"], kind=float, what="rate")
    users = figures(options["concurrency"] or DEFAULT_CONCURRENCY, kind=int, what="concurrency")
    loads = [open_loop(rate, options) for rate in rates] or [ClosedLoop(count) for count in users]
    return [Stage(arrivals=arrivals, duration_s=duration_s, **limits) for arrivals in loads]


def open_loop(rate: float, options: dict[str, Any]) -> Arrivals:
    """The arrival process that --arrivals names."""
    if options["arrivals"] == "constant":
        return ConstantRate(rate)
    return GammaRate(rate, options["burstiness"]) if options["arrivals"] == "gamma" else PoissonRate(rate)


def workload_from(options: dict[str, Any], prompts: PromptFile | None) -> Workload:
    """The workload the options describe."""
    prefixes = figures(options["shared_prefix"], kind=int, what="pair of groups and tokens")
    if prefixes and len(prefixes) != 2:
        raise UsageError(f"--shared-prefix takes GROUPS,TOKENS, not {options['shared_prefix']!r}")
    try:
        extra = json.loads(options["extra"] or "{}")
    except ValueError as error:
        raise UsageError(f"--extra is not JSON: {error}") from error
    if not isinstance(extra, dict):
        raise UsageError("--extra takes a JSON object")
    return Workload(
        input_tokens=parse_lengths(options["input_tokens"]),
        output_tokens=parse_lengths(options["output_tokens"]),
        api=options["api"],
        streamed=options["stream"],
        cache=options["cache"],
        shared_prefixes=SharedPrefixes(*prefixes) if prefixes else None,
        items=() if prompts is None else prompts.items,
        in_order=prompts is not None and prompts.times_s is not None,
        extra=extra,
    )
