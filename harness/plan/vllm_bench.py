"""Options of ``vllm bench serve`` 0.15.1 in the words of a sweep file: workload, load level, what is left. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from harness.errors import ConfigError

Plain = dict[str, object]

SWITCHES = frozenset(
    {"use-beam-search", "trust-remote-code", "disable-tqdm", "profile", "save-result", "save-detailed", "append-result",
     "ignore-eos", "no-stream", "no-oversample", "skip-chat-template", "disable-shuffle"}
)  # fmt: skip
SAMPLING = (
    "temperature", "top-p", "top-k", "min-p", "frequency-penalty", "presence-penalty", "repetition-penalty",
)  # fmt: skip
# What is said otherwise here, or need not be said.
NEEDLESS: Mapping[str, str] = {
    **dict.fromkeys(("host", "port", "base-url", "endpoint"), "a sweep knows the endpoints it makes"),
    **dict.fromkeys(
        ("tokenizer", "tokenizer-mode", "trust-remote-code", "skip-chat-template"), "the server counts tokens"
    ),
    **dict.fromkeys(
        (
            "save-result",
            "save-detailed",
            "append-result",
            "result-dir",
            "result-filename",
            "label",
            "metadata",
        ),
        "every request is kept in the run's folder",
    ),
    **dict.fromkeys(("percentile-metrics", "metric-percentiles"), "all of them are reported"),
    **dict.fromkeys(("disable-tqdm", "ready-check-timeout-sec", "request-id-prefix"), "nothing to say it to"),
    **dict.fromkeys(("no-oversample", "disable-shuffle"), "synthetic prompts do not run out"),
    "ignore-eos": "answers are always as long as asked for",
}
# What has no counterpart, and what to do instead.
MISSING: Mapping[str, str] = {
    "num-warmups": "warm-up is timed here, with prompts of its own; see warmup: in a load level",
    "goodput": "an SLO is on percentiles here: slo: 'ttft_p99<=500ms,tpot_p99<=50ms'",
    "profile": "an endpoint is not profiled",
    "served-model-name": "requests name the model as the platform does",
    **dict.fromkeys(("use-beam-search", "logprobs", "lora-modules", "header"), "not sent"),
    **dict.fromkeys(
        ("ramp-up-strategy", "ramp-up-start-rps", "ramp-up-end-rps"), "the rate is constant here"
    ),
    "no-stream": "answers are streamed",
    "random-batch-size": "one prompt a request",
}
SECRETIVE = frozenset({"header"})  # its value may be a key
UNBOUNDED = "inf"
Number = TypeVar("Number", int, float)


@dataclass(slots=True)
class Bench:
    """One benchmark as a sweep file says it; ``notes`` are on what it cannot say, ``unknown`` has strange options."""

    workload: Plain = field(default_factory=dict)
    level: Plain = field(default_factory=dict)
    model: str | None = None
    notes: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def options_of(words: Sequence[str]) -> dict[str, str]:
    """Options of a command by their names with ``-``; the last one wins, a switch is an empty text."""
    found: dict[str, str] = {}
    name: str | None = None
    for word in words:
        if word.startswith("--"):
            flag, equals, value = word[2:].partition("=")
            key = flag.replace("_", "-")
            found[key] = value
            name = None if equals or key in SWITCHES else key
        elif name is not None:
            found[name] = f"{found[name]} {word}".strip()
    return found


def bench_of(options: Mapping[str, str]) -> Bench:
    """The benchmark that a command's options describe, with vLLM's defaults for what they leave out."""
    left, made = dict(options), Bench()
    made.model = left.pop("model", None)
    _workload(left, made)
    _level(left, made)
    for name, value in left.items():
        shown = f"--{name}" if name in SECRETIVE else f"--{name} {value}".strip()
        if name in NEEDLESS:
            made.notes.append(f"{shown}: {NEEDLESS[name]}")
        elif name in MISSING:
            made.notes.append(f"{shown}: no counterpart; {MISSING[name]}")
        else:
            made.unknown.append(f"--{name}")
    return made


def _workload(left: dict[str, str], made: Bench) -> None:
    backend = left.pop("backend", "openai")
    made.workload["api"] = "chat" if "chat" in backend else "completions"
    if backend not in ("vllm", "openai", "openai-chat"):
        made.notes.append(f"--backend {backend}: no counterpart; the completions API is asked")
    dataset = left.pop("dataset-name", "random")
    lengths = {name: left.pop(f"{name}-len", None) for name in ("input", "output")}
    if dataset == "prefix_repetition":
        _shared_prefixes(left, made, lengths["output"])
    else:
        if dataset != "random":
            path = left.pop("dataset-path", "")
            made.notes.append(
                f"--dataset-name {dataset} {path}".rstrip() + ": no counterpart; synthetic prompts instead"
            )
        _random(left, made, lengths)
    made.workload["seed"] = _number(left, "seed", 0, int)
    extra: Plain = {name.replace("-", "_"): _json(left.pop(name)) for name in SAMPLING if name in left}
    body = _json(left.pop("extra-body", "{}"))
    extra |= body if isinstance(body, dict) else {}
    if extra:
        made.workload["extra"] = extra


def _random(left: dict[str, str], made: Bench, given: Mapping[str, str | None]) -> None:
    spread = _number(left, "random-range-ratio", 0.0, float)
    for name, default in (("input", 1024), ("output", 128)):
        own = _number(left, f"random-{name}-len", default, int)
        common = given[name]
        mean = own if common is None else _parsed(common, f"{name}-len", int)
        made.workload[f"{name}-tokens"] = _length(mean, spread)
    prefix = _number(left, "random-prefix-len", 0, int)
    if prefix:
        made.workload["prefix-tokens"] = prefix


def _shared_prefixes(left: dict[str, str], made: Bench, output: str | None) -> None:
    own = _number(left, "prefix-repetition-output-len", 128, int)
    made.workload |= {
        "input-tokens": _number(left, "prefix-repetition-suffix-len", 256, int),
        "output-tokens": own if output is None else _parsed(output, "output-len", int),
        "prefix-tokens": _number(left, "prefix-repetition-prefix-len", 256, int),
        "prefix-groups": _number(left, "prefix-repetition-num-prefixes", 10, int),
    }


def _length(mean: int, spread: float) -> object:
    if not spread:
        return mean
    low, high = max(1, math.floor(mean * (1 - spread))), math.ceil(mean * (1 + spread))
    return {"distribution": "uniform", "min": low, "max": high}


def _level(left: dict[str, str], made: Bench) -> None:
    prompts = _number(left, "num-prompts", 1000, int)
    rate = left.pop("request-rate", UNBOUNDED)
    concurrency = left.pop("max-concurrency", None)
    burstiness = _number(left, "burstiness", 1.0, float)
    if _parsed(rate, "request-rate", float) == math.inf:
        if concurrency is None:
            made.notes.append(f"no rate and no concurrency: all {prompts} requests at once")
        users = prompts if concurrency is None else _parsed(concurrency, "max-concurrency", int)
        made.level = {"concurrency": min(users, prompts), "requests": prompts}
        return
    made.level = {"rate": _json(rate), "requests": prompts}
    if burstiness == math.inf:
        made.level["arrivals"] = "constant"
    elif burstiness != 1.0:
        made.level |= {"arrivals": "gamma", "burstiness": burstiness}
    if concurrency is not None:
        made.notes.append(
            f"--max-concurrency {concurrency} beside a rate: no counterpart; a rate is not held back"
        )


def _number(left: dict[str, str], name: str, default: Number, kind: Callable[[str], Number]) -> Number:
    return _parsed(left.pop(name), name, kind) if name in left else default


def _parsed(text: str, name: str, kind: Callable[[str], Number]) -> Number:
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"--{name} is not a number: '{text}'") from None


def _json(text: str) -> object:
    """A number or a JSON value where the text is one, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
