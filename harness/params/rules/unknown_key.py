"""A structured value has a key the engine does not know.

Some structured flags refuse unknown keys. Most drop them without a word, so that a misspelt setting has no effect:
then this is a warning.

Wrong::

    --compilation-config '{"cudagraphmode": "FULL"}'   # engine-version: 0.15.1

Right::

    --compilation-config '{"cudagraph_mode": "FULL"}'   # engine-version: 0.15.1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.json_places import find_key
from harness.params.names import near_text
from harness.params.quoting import quote
from harness.params.reading import Argument, ProblemKind, Span
from harness.params.structure import unknown_keys

CODE = "unknown-key"
STAGE = Stage.PARSE
SEVERITY = Severity.ERROR
PROBLEMS = frozenset({ProblemKind.UNKNOWN_KEY})
FLAGS = frozenset(
    {
        "attention-config",
        "compilation-config",
        "ec-transfer-config",
        "eplb-config",
        "kv-events-config",
        "kv-transfer-config",
        "pooler-config",
        "profiler-config",
        "speculative-config",
        "structured-outputs-config",
    }
)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for each unknown key: an error where the engine refuses it, a warning where it drops it."""
    for problem in context.reading.of(ProblemKind.UNKNOWN_KEY):
        span = problem.span
        if span is not None and context.parameters[span.index][span.start : span.end] == problem.text:
            span = find_key(problem.text, problem.path, span)
        message = f"{problem.flag} has no key {quote('.'.join(problem.path))} in vLLM {context.version}"
        yield context.error(CODE, span, message, note=note(problem.path[-1], problem.choices))
    for argument in context.arguments:
        if argument.name in FLAGS and argument.valid:
            yield from _dropped(argument, context)


def _dropped(argument: Argument, context: Context) -> Iterator[Diagnostic]:
    for path, known in _unknown(argument, context):
        message = f"{argument.flag} drops the unknown key {quote('.'.join(path))} without a word"
        yield context.warning(CODE, key_span(argument, path), message, note=note(path[-1], known))


def _unknown(argument: Argument, context: Context) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    schema = argument.option.schema
    if schema is not None:
        if not schema.ignores_unknown_keys:
            return  # the parser would have refused them
        for path, inner in unknown_keys(argument.converted, schema):
            yield path, tuple(inner.fields)
    elif isinstance(argument.converted, dict):
        known = context.registries.get("speculative_config_keys", ())
        for key in argument.converted:
            if known and key not in known:
                yield (key,), known


def key_span(argument: Argument, path: tuple[str, ...]) -> Span:
    """Where a key of the argument's value stands: inside the JSON, or the dotted item that gave it."""
    for part in argument.parts:
        if part.path == path[: len(part.path)] or part.path[: len(path)] == path:
            return part.key_span
    if argument.value is None:
        return argument.flag_span
    return find_key(argument.value, path, argument.value_span)


def note(key: str, known: tuple[str, ...]) -> str | None:
    """The key that was likely meant."""
    near = near_text(key.replace("-", "_"), known)
    return f"did you mean {near!r}?" if near is not None else None
