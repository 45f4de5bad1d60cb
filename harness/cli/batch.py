"""``harness lint --batch``: JSON lines in, JSON lines out, in the same order, each answered as soon as it is read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from harness.errors import UserError
from harness.params.batch import Answer, failure, lint_line

Loader = Callable[[str], Mapping[str, object]]


def run_batch(path: str) -> int:
    """Answers every line of a file, or of standard input for ``-``; 1 when a list is not ok, 2 for an unusable line."""
    if path == "-":
        return answer_all(sys.stdin.buffer, sys.stdout.buffer)
    try:
        lines = Path(path).open("rb")  # noqa: SIM115  only opening may fail as unusable input; closed below
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot read {path!r}: {reason.lower()}") from None
    with lines:
        return answer_all(lines, sys.stdout.buffer)


def answer_all(lines: BinaryIO, output: BinaryIO) -> int:
    """The answers to all lines, blank ones left out; the exit code of the whole."""
    code = 0
    load = remembering_loader()
    for answer in answers(lines, load):
        output.write(json.dumps(answer).encode() + b"\n")
        output.flush()
        code = max(code, 2 if "error" in answer else 0 if answer["ok"] else 1)
    return code


def answers(lines: BinaryIO, load: Loader) -> Iterator[Answer]:
    """One answer for every line that is not blank."""
    for line in lines:
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            yield failure(f"not UTF-8 text: {error.reason}")
            continue
        yield lint_line(text, load_model_config=load)


def remembering_loader() -> Loader:
    """A reader of config.json files that reads each one once."""
    from harness.plan.lint import read_model_config

    known: dict[str, Mapping[str, object]] = {}

    def load(path: str) -> Mapping[str, object]:
        if path not in known:
            known[path] = read_model_config(path)
        return known[path]

    return load
