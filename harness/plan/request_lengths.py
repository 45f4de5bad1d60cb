"""Whether the requests of a workload fit the context of the engine that is to serve them. Pure.

vLLM refuses a request whose prompt and wanted answer are together longer than ``max_model_len`` (400): a load of such
requests measures nothing. One length with bounds counts at its longest. One without, and a whole conversation, counts
at its mean and some standard deviations: what any run comes to is an error, what a long one may is a warning. Of given
prompts only the lengths that their file states are known.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.argv import read
from harness.params.lint import knowledge_of
from harness.params.model_config import ModelConfig
from harness.plan.cells import Cell
from harness.plan.config import LengthConfig, WorkloadConfig
from harness.plan.spans import Source, Span

CODE = "request-too-long"
# Standard deviations above the mean that one request in 40 passes, and one in 30,000.
EXPECTED, POSSIBLE = 2.0, 4.0
ENDLESS = 1e12
UNKNOWN = LengthConfig("fixed", mean=1.0)


class Tokens(NamedTuple):
    """A number of tokens as drawn: the ``most`` there can be, mean and standard deviation."""

    most: float
    mean: float
    sd: float = 0.0

    def times(self, count: float) -> Tokens:
        """The sum of so many independent ones."""
        return Tokens(self.most * count, self.mean * count, self.sd * math.sqrt(count))

    def plus(self, other: Tokens) -> Tokens:
        """The sum with an independent one."""
        return Tokens(self.most + other.most, self.mean + other.mean, math.hypot(self.sd, other.sd))

    def reach(self, deviations: float) -> int:
        """What is reached at so many standard deviations above the mean."""
        return math.ceil(min(self.most, self.mean + deviations * self.sd, ENDLESS))


class Requests(NamedTuple):
    """The longest requests of a workload. ``expected`` tokens are reached in any run, ``possible`` in a long one.

    ``told`` says what they are made of, ``place`` where that stands in the file.
    """

    expected: int
    possible: int
    told: str
    place: Span | None = None


def longest_requests(workload: WorkloadConfig) -> Requests:
    """What a workload asks of an engine's context, all turns of a conversation together."""
    turns = _turns(workload)
    parts = [(_given_input(workload), workload.output_tokens)]
    items = () if workload.prompt_file is None else workload.prompt_file.items
    if items:
        pairs = dict.fromkeys((item.input_tokens, item.output_tokens) for item in items)
        parts = [
            (_fixed(read), workload.output_tokens if wrote is None else _fixed(wrote))
            for read, wrote in pairs
        ]
    sums = [(_longest(read, turns).plus(_longest(wrote, turns)), read, wrote) for read, wrote in parts]
    longest, read, wrote = max(sums, key=lambda one: one[0].reach(POSSIBLE))
    told = f"{_longest(read, 1).reach(EXPECTED)} in, {_longest(wrote, 1).reach(EXPECTED)} out"
    told = told if turns == 1 else f"{turns:g} turns of {told}"
    return Requests(longest.reach(EXPECTED), longest.reach(POSSIBLE), told, workload.place)


def _given_input(workload: WorkloadConfig) -> LengthConfig:
    return workload.input_tokens if workload.prompts is None else UNKNOWN


def _fixed(tokens: int | None) -> LengthConfig:
    return UNKNOWN if tokens is None else LengthConfig("fixed", mean=float(tokens))


def _turns(workload: WorkloadConfig) -> float:
    """Turns of a long conversation; 1 where there are none, or where only the prompts' file knows."""
    items = () if workload.prompt_file is None else workload.prompt_file.items
    given = max((1 + len(item.later) for item in items), default=None)
    if not workload.in_turns:
        return given or 1
    wanted = None if workload.turns is None else _longest(workload.turns, 1).reach(EXPECTED)
    return min((count for count in (given, wanted) if count is not None), default=1)


def _longest(length: LengthConfig, times: float) -> Tokens:
    """One length at its longest where it has bounds; the sum of several, and one without, as a distribution."""
    if length.distribution == "uniform":
        low, high = float(length.minimum or 1), float(length.maximum or 1)
        drawn = Tokens(high, (low + high) / 2, (high - low) / math.sqrt(12))
    elif length.distribution == "empirical":
        drawn = _observed(length)
    else:
        mean, sd = length.mean or 1.0, (length.stddev or 0.0) if length.distribution != "fixed" else 0.0
        most = math.inf if length.maximum is None else float(length.maximum)
        return Tokens(most if sd else mean, min(mean, most), sd).times(times)
    return drawn.times(times) if times > 1 else Tokens(drawn.most, drawn.most)


def _observed(length: LengthConfig) -> Tokens:
    """Of values that are still in their file nothing is known."""
    weights = length.weights or (1.0,) * len(length.values)
    pairs = [(value, weight) for value, weight in zip(length.values, weights, strict=True) if weight]
    if not pairs:
        return Tokens(1.0, 1.0)
    whole = sum(weight for _, weight in pairs)
    mean = sum(value * weight for value, weight in pairs) / whole
    variance = sum(weight * (value - mean) ** 2 for value, weight in pairs) / whole
    return Tokens(float(max(value for value, _ in pairs)), mean, math.sqrt(variance))


class Context(NamedTuple):
    """How many tokens prompt and answer may have together, whose limit that is, and what the model allows at most."""

    tokens: int
    whose: str
    largest: int | None


def context_of(cell: Cell, config: ModelConfig | None) -> Context | None:
    """The cell's context; None where the engine chooses, or neither list nor model tells."""
    asked = _asked(cell.parameters, cell.engine_version)
    if asked is None or asked < 0:
        return None
    largest = _largest(cell.model, config)
    if asked:
        return Context(asked, f"--max-model-len {asked}", largest)
    return None if largest is None else Context(largest, f"the model's {largest}", largest)


@lru_cache(maxsize=8192)  # a large sweep goes through its lists once for each place
def _asked(parameters: tuple[str, ...], version: str) -> int | None:
    """``--max-model-len``: 0 when the model's own holds, -1 when the engine chooses, None for a list it refuses."""
    reading = read(parameters, knowledge_of(version).grammar)
    if reading.problems:
        return None
    asked = reading.values.get("max-model-len")
    if type(asked) is int:
        return asked if asked > 0 else -1
    return -1 if reading.has_other_config else 0


def _largest(model: str, config: ModelConfig | None) -> int | None:
    """The longest sequence of the model by its config.json, else by the packaged table; None when neither tells."""
    if config is not None:
        known = config.max_length is not None and config.default_length is not None
        return min(int(config.max_length or 0), config.default_length or 0) if known else None
    # Here, so that a file without load levels is linted without loading the tables.
    from harness.forecast.tables import model as facts_of

    facts = facts_of(model)
    return None if facts is None else facts.max_position


def request_finding(
    requests: Requests, cell: Cell, config: ModelConfig | None, source: Source
) -> Diagnostic | None:
    """That the longest requests do not fit the cell's context, and what would; ``source`` is the sweep file."""
    context = context_of(cell, config)
    if context is None or requests.possible <= context.tokens:
        return None
    certain = requests.expected > context.tokens
    tokens = requests.expected if certain else requests.possible
    verb = "do" if certain else "may"
    return Diagnostic(
        CODE,
        Severity.ERROR if certain else Severity.WARNING,
        Stage.STARTUP,
        f"requests of {tokens} tokens ({requests.told}) {verb} not fit the context: {context.whose}",
        hint=_hint(tokens, context),
        location=None if requests.place is None else source.location(*requests.place),
    )


def _hint(tokens: int, context: Context) -> str:
    shorter = f"shorter requests, {context.tokens} tokens at most with the answer"
    if context.largest is not None and tokens > context.largest:
        return shorter
    return f"--max-model-len {tokens} at least, or {shorter}"
