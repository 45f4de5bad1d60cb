"""What a deployment and its engine say they run with, against what was asked. Pure.

Two witnesses: the parameters in the platform's answer, and the first lines of the engine's log. vLLM prints the
arguments that differ from its defaults, so that one which was asked for and is not printed runs at its default.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence

from harness.params.argv import read
from harness.params.lint import knowledge_of
from harness.params.reading import Argument
from harness.params.rules.managed_flag import FLAGS
from harness.plan.cells import Cell
from harness.sweep.failures import STYLE

MARK = "non-default args: "
VERSION = re.compile(r"(?:LLM engine \(v|vLLM API server version |\]\s+\W+ version )(\d[\w.]*)")
ENTRY = re.compile(r"^\s*'(\w+)': (.*)$", re.DOTALL)
OPENING, CLOSING = "([{<", ")]}>"
# What a platform may add to the list on its own: it lays out the processes, and splits a model over the GPUs.
PLATFORMS_OWN = frozenset({*FLAGS, "tensor-parallel-size", "model", "model-tag"})


def running_version(lines: Iterable[str]) -> str | None:
    """The version that the log names last; None when it names none."""
    found = [match[1] for line in lines for match in VERSION.finditer(STYLE.sub("", line))]
    return found[-1] if found else None


def running_arguments(lines: Iterable[str]) -> dict[str, object] | None:
    """The arguments that differ from their defaults, as vLLM prints them at its start; None when it does not show.

    After a restart the last such line counts. Values that are objects of the engine's own are left out.
    """
    shown: dict[str, object] | None = None
    for line in lines:
        _, found, text = STYLE.sub("", line).partition(MARK)
        if found and text.strip().startswith("{"):
            shown = dict(_entries(text.strip()[1:].removesuffix("}")))
    return shown


def _entries(text: str) -> Iterable[tuple[str, object]]:
    """The entries of a printed mapping, those whose values are literals."""
    for piece in _pieces(text):
        entry = ENTRY.match(piece)
        if entry is not None:
            try:
                yield entry[1], ast.literal_eval(entry[2].strip())
            except (ValueError, SyntaxError):
                continue


def _pieces(text: str) -> Iterable[str]:
    """The text between commas that stand in no bracket and no quotes."""
    depth, quote, start, escaped = 0, "", 0, False
    for position, mark in enumerate(text):
        if quote:
            quote = "" if mark == quote and not escaped else quote
            escaped = mark == "\\" and not escaped
        elif mark in "'\"":
            quote = mark
        elif mark in OPENING:
            depth += 1
        elif mark in CLOSING:
            depth -= 1
        elif mark == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def log_differences(cell: Cell, lines: Sequence[str], *, before: Sequence[str] = ()) -> list[str] | None:
    """What the engine's log says that was not asked, one sentence each; None when it does not say what it runs.

    ``before`` is what was asked of the same deployment until now: none of it may be left over.
    """
    version, running = running_version(lines), running_arguments(lines)
    found = []
    if version is not None and version != cell.engine_version:
        found.append(f"asked for vLLM {cell.engine_version}, it runs {version}")
    if running is None:
        return found or None
    return found + differences(cell, running) + left_over(cell, running, before=before)


def differences(cell: Cell, running: Mapping[str, object]) -> list[str]:
    """Asked-for plain values that run otherwise, one sentence each; an absent one runs at its default."""
    found = []
    for name, argument in _asked(cell.parameters, cell.engine_version).items():
        asked, key = argument.converted, name.replace("-", "_")
        if not argument.valid or not isinstance(asked, bool | int | float | str):
            continue
        if key in running:
            if not _alike(asked, running[key]):
                found.append(f"asked for --{name} {asked}, it runs with {running[key]}")
        elif argument.spec.default is not None and not _alike(asked, argument.spec.default):
            found.append(f"asked for --{name} {asked}, it runs with its default {argument.spec.default}")
    return found


def left_over(cell: Cell, running: Mapping[str, object], *, before: Sequence[str]) -> list[str]:
    """What the deployment was asked for before and is not any more, but still runs with."""
    asked = _asked(cell.parameters, cell.engine_version)
    return [
        f"did not ask for --{name}, it still runs with {running[name.replace('-', '_')]}"
        for name in _asked(before, cell.engine_version)
        if name not in asked and name.replace("-", "_") in running
    ]


def answer_differences(cell: Cell, shown: Sequence[str]) -> list[str]:
    """How the list in the platform's answer differs from what was asked in what it means, one sentence each.

    Another order or spelling is no difference, nor is what the platform lays down itself.
    """
    if tuple(shown) == cell.parameters:
        return []
    grammar = knowledge_of(cell.engine_version).grammar
    if read(shown, grammar).problems and not read(cell.parameters, grammar).problems:
        return [f"asked for parameters {list(cell.parameters)}, the answer has {list(shown)}"]
    asked = _asked(cell.parameters, cell.engine_version)
    given = _asked(shown, cell.engine_version)
    found = [
        f"asked for --{name} {_value(argument)}, the answer has {_value(given.get(name))}"
        for name, argument in asked.items()
        if _value(argument) != _value(given.get(name))
    ]
    return found + [
        f"did not ask for --{name}, the answer has {_value(argument)}"
        for name, argument in given.items()
        if name not in asked and name not in PLATFORMS_OWN
    ]


def _asked(parameters: Sequence[str], version: str) -> dict[str, Argument]:
    """Each argument of a list by its name, the one that decides where it is repeated."""
    return dict(read(parameters, knowledge_of(version).grammar).deciding)


def _value(argument: Argument | None) -> str:
    if argument is None:
        return "none"
    return str(argument.converted if argument.valid else argument.values)


def _alike(asked: object, running: object) -> bool:
    """Equal as numbers where both are, else as words; a quoted number is that number."""
    try:
        return float(str(asked)) == float(str(running))
    except ValueError:
        return str(asked).lower() == str(running).lower()
