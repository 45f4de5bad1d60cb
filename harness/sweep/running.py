"""What an engine says it runs with, from its first log lines, against what was asked. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from harness.params.argv import read
from harness.params.lint import knowledge_of
from harness.plan.cells import Cell

MARK = "non-default args: "


def running_arguments(lines: Iterable[str]) -> dict[str, object] | None:
    """The arguments that differ from their defaults, as vLLM prints them at its start; None when it is not shown.

    After a restart the last such line counts.
    """
    shown: dict[str, object] | None = None
    for line in lines:
        _, found, text = line.partition(MARK)
        if found:
            try:
                parsed = ast.literal_eval(text.strip())
            except (ValueError, SyntaxError):
                continue  # holds an object of the engine's own, which its repr does not give back
            shown = parsed if isinstance(parsed, dict) else shown
    return shown


def differences(cell: Cell, running: Mapping[str, object]) -> list[str]:
    """Asked-for plain values that run otherwise, one sentence each; what the engine does not show is not judged."""
    asked: dict[str, object] = {}
    for argument in read(cell.parameters, knowledge_of(cell.engine_version).grammar).arguments:
        if (
            argument.valid
            and argument.name is not None
            and isinstance(argument.converted, bool | int | float | str)
        ):
            asked[argument.name.replace("-", "_")] = argument.converted
    return [
        f"asked for --{name.replace('_', '-')} {value}, it runs with {running[name]}"
        for name, value in asked.items()
        if name in running and not _alike(value, running[name])
    ]


def _alike(asked: object, running: object) -> bool:
    """Equal as numbers where both are, else as words; a quoted number is that number."""
    try:
        return float(str(asked)) == float(str(running))
    except ValueError:
        return str(asked).lower() == str(running).lower()
