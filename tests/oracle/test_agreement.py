"""A list has an error of the parse stage exactly when the real parser of that version refuses it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from harness.diagnostics import Stage
from harness.params.argv import read
from harness.params.lint import lint_parameters
from harness.params.reading import Problem, ProblemKind
from harness.params.snapshots import load_grammar

VERSIONS = ("0.12.0", "0.15.1")
Corpus = Callable[[str], Sequence[tuple[list[str], str | None]]]

VALUE_KINDS = {ProblemKind.WRONG_TYPE, ProblemKind.MALFORMED_JSON, ProblemKind.NOT_ALLOWED}
STRUCTURE_KINDS = {
    ProblemKind.MALFORMED_JSON,
    ProblemKind.WRONG_TYPE,
    ProblemKind.MISTYPED_KEY,
    ProblemKind.UNKNOWN_KEY,
    ProblemKind.CONDITION,
}
EXTRA_KINDS = {ProblemKind.UNKNOWN_FLAG, ProblemKind.STRAY, ProblemKind.MODEL}


def disagreements(version: str, verdicts: Sequence[tuple[list[str], str | None]]) -> list[list[str]]:
    found = []
    for arguments, error in verdicts:
        diagnostics = lint_parameters(arguments, engine_version=version)
        refused = any(finding.is_error and finding.stage is Stage.PARSE for finding in diagnostics)
        if refused != (error is not None):
            found.append(arguments)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_no_generated_list_is_judged_otherwise_than_by_the_real_parser(corpus: Corpus, version: str) -> None:
    verdicts = corpus(version)
    assert len(verdicts) >= 20_000
    assert 5_000 < sum(error is None for _, error in verdicts) < 15_000
    assert disagreements(version, verdicts) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_no_handmade_list_is_judged_otherwise_but_those_that_read_a_config_file(
    handmade: Corpus, version: str
) -> None:
    verdicts = handmade(version)
    assert len(verdicts) == 611
    otherwise = disagreements(version, verdicts)
    # The file was there when the verdicts were recorded; a managed deployment has none.
    assert len(otherwise) == 6
    assert all("--config" in arguments for arguments in otherwise)


def same_flag(problem: Problem, names: str) -> bool:
    """argparse names a flag by all its spellings, ``--tensor-parallel-size/-tp``."""
    return problem.option is not None and "/".join(problem.option.flags) == names


def says_the_same(problem: Problem, error: str) -> bool:
    """Whether a problem of ours is the one the engine's message names: kind, flag and value."""
    if match := re.match(r"ambiguous option: (.*) could match ", error, re.DOTALL):
        return problem.kind is ProblemKind.AMBIGUOUS and problem.text == match[1].partition("=")[0]
    if error.startswith("unrecognized arguments:"):
        return problem.kind in EXTRA_KINDS
    match = re.match(r"argument (\S+): (.*)", error, re.DOTALL)
    if match is not None and match[1] == "-h/--help":
        return problem.kind is ProblemKind.HELP
    if match is None or not same_flag(problem, match[1]):
        return False
    text = match[2]
    if text.startswith("expected "):
        return problem.kind is ProblemKind.MISSING_VALUE
    if text.startswith("ignored explicit argument "):
        return problem.kind is ProblemKind.VALUE_FOR_SWITCH and repr(problem.text) in text
    if text.startswith("invalid choice: "):
        return problem.kind is ProblemKind.NOT_ALLOWED
    if "validation error" in text:
        return problem.kind in STRUCTURE_KINDS
    if value := re.match(r"invalid \S+ value: (.*)", text, re.DOTALL):
        return problem.kind in VALUE_KINDS and repr(problem.text)[:60] == value[1][:60]
    if value := re.match(r"Value (.*) cannot be converted", text, re.DOTALL):
        return problem.kind in VALUE_KINDS and problem.text == value[1]
    return problem.kind in VALUE_KINDS


def is_comparable(error: str) -> bool:
    """Whether the recorded text is a whole message that names a flag, a value or a stray item."""
    whole = len(error) < 160 or "validation error" in error or "invalid " in error
    return whole and error.startswith(("argument ", "ambiguous option: ", "unrecognized arguments:"))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_engines_own_complaint_is_among_ours(corpus: Corpus, version: str) -> None:
    grammar = load_grammar(version)
    compared = 0
    silent = []
    for arguments, error in corpus(version):
        if error is None or not is_comparable(error):
            continue
        compared += 1
        if not any(says_the_same(problem, error) for problem in read(arguments, grammar).problems):
            silent.append((arguments, error))
    assert compared > 10_000
    assert silent == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_mistyped_key_has_the_path_the_engine_names(corpus: Corpus, version: str) -> None:
    grammar = load_grammar(version)
    compared = 0
    for arguments, error in corpus(version):
        match = re.search(r"\n([a-z_][a-z_.]*)\n  Input should be ", error or "")
        if match is None or "validation error for" not in (error or ""):
            continue
        compared += 1
        paths = {".".join(problem.path) for problem in read(arguments, grammar).problems}
        assert any(path == match[1] or match[1].startswith(f"{path}.") for path in paths if path), arguments
    assert compared > 500
