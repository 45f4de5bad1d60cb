"""The options of ``harness load`` read into the load client's types."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.load.arrivals import (
    Arrivals,
    ClosedLoop,
    ConstantRate,
    GammaRate,
    PoissonRate,
    Ramp,
    StepSeries,
    TraceReplay,
)
from harness.load.conversations import Conversations, parse_think_time
from harness.load.lengths import Lengths, parse_lengths
from harness.load.prompt_files import PromptFile, read_length_file, read_prompt_file
from harness.load.stage import Stage
from harness.load.tokenizer import token_counter, tokenizer_file
from harness.load.workload import SharedPrefixes, Workload
from harness.secret import Secret

DEFAULT_CONCURRENCY = "1"
ALL_TURNS = "all"
LOADS = ("concurrency", "rate", "ramp", "steps")
LIMITS = ("requests", "warmup_s", "timeout_s", "drain_s", "max_in_flight")


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
    """One stage per concurrency or rate, in the order given; one for a ramp, for steps, for a trace."""
    given = [f"--{name}" for name in LOADS if options[name]]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} do not go together: a load is one of them")
    limits = {name: options[name] for name in LIMITS}
    duration_s = options["duration_s"]
    if prompts is not None and prompts.times_s is not None:
        if given:
            raise UsageError(f"a trace brings its own times: leave {given[0]} out")
        if duration_s is None and limits["requests"] is None:
            limits["requests"] = len(prompts.times_s)
        return [
            Stage(arrivals=TraceReplay(prompts.times_s, options["stretch"]), duration_s=duration_s, **limits)
        ]
    if duration_s is None and options["requests"] is None:
        duration_s = 30.0
    return [Stage(arrivals=arrivals, duration_s=duration_s, **limits) for arrivals in loads_from(options)]


def loads_from(options: dict[str, Any]) -> list[Arrivals]:
    """The arrival processes that the options name."""
    if options["ramp"]:
        ends = figures(options["ramp"], kind=float, what="pair of rates")
        if len(ends) != 2:
            raise UsageError(f"--ramp takes two rates, as 1,8, not {options['ramp']!r}")
        return [Ramp(*ends)]
    if options["steps"]:
        return [StepSeries(tuple(figures(options["steps"], kind=float, what="list of rates")))]
    rates = figures(options["rate"], kind=float, what="rate")
    users = figures(options["concurrency"] or DEFAULT_CONCURRENCY, kind=int, what="concurrency")
    return [open_loop(rate, options) for rate in rates] or [ClosedLoop(count) for count in users]


def open_loop(rate: float, options: dict[str, Any]) -> Arrivals:
    """The arrival process that --arrivals names."""
    if options["arrivals"] == "constant":
        return ConstantRate(rate)
    return GammaRate(rate, options["burstiness"]) if options["arrivals"] == "gamma" else PoissonRate(rate)


def prompts_from(options: dict[str, Any]) -> PromptFile | None:
    """The file of --prompts, in turns where --turns asks for them."""
    path = options["prompts_path"]
    return None if path is None else read_prompt_file(Path(path), in_turns=options["turns"] is not None)


def lengths_from(text: str) -> Lengths:
    """A distribution as text, or ``@FILE`` with counts of tokens."""
    return read_length_file(Path(text[1:])) if text.startswith("@") else parse_lengths(text)


def conversations_from(options: dict[str, Any], prompts: PromptFile | None) -> Conversations | None:
    """What --turns and --think-time say; prompts that come in turns are conversations without them too."""
    turns = options["turns"]
    if turns is None and (prompts is None or not prompts.has_turns):
        if options["think_time"] is not None:
            raise UsageError("--think-time is the pause between turns: it goes with --turns")
        return None
    return Conversations(
        None if turns in (None, ALL_TURNS) else turns_from(turns),
        None if options["think_time"] is None else parse_think_time(options["think_time"]),
    )


def turns_from(text: str) -> Lengths:
    """A number of turns, or a distribution of it."""
    try:
        return parse_lengths(text)
    except UsageError as error:
        raise UsageError(f"not a number of turns: {text!r}; try 4, 2-6 or, for a file's own, all") from error


def tokenizer_from(path: str | None) -> str | None:
    """The file of --tokenizer, seen to be one."""
    if path is None:
        return None
    token_counter(path)
    return tokenizer_file(path)


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
        input_tokens=lengths_from(options["input_tokens"]),
        output_tokens=lengths_from(options["output_tokens"]),
        api=options["api"],
        streamed=options["stream"],
        cache=options["cache"],
        shared_prefixes=SharedPrefixes(*prefixes) if prefixes else None,
        items=() if prompts is None else prompts.items,
        in_order=prompts is not None and prompts.times_s is not None,
        conversations=conversations_from(options, prompts),
        tokenizer=tokenizer_from(options["tokenizer"]),
        extra=extra,
    )
