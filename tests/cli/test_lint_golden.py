"""One right and one wrong file for every kind of input; the places in ``*.expected`` were counted by hand.

Only errors are compared: advice of the platform's and the style's rules may grow without making a file wrong.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.diagnostics import Diagnostic
from harness.plan.lint import lint_paths

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
RIGHT = sorted(GOLDEN.glob("*-ok.*"))
WRONG = sorted(path for path in GOLDEN.glob("*-err.*") if path.suffix != ".expected")


def test_every_kind_of_input_has_a_right_and_a_wrong_file() -> None:
    assert len(RIGHT) == len(WRONG) == 13
    assert [path.name.replace("-ok", "") for path in RIGHT] == [
        path.name.replace("-err", "") for path in WRONG
    ]


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.name)
def test_right_file_has_no_error(path: Path) -> None:
    report = lint_paths([str(path)])
    assert [found.message for found in report.diagnostics if found.is_error] == []
    assert report.exit_code() == 0
    assert sum(file.lists for file in report.files) >= 1


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.name)
def test_wrong_file_has_each_error_at_its_place(path: Path) -> None:
    expected = Path(f"{path}.expected").read_text().splitlines()
    report = lint_paths([str(path)])
    assert [place(found) for found in report.diagnostics if found.is_error] == expected
    assert report.exit_code() == (2 if any("config-" in line for line in expected) else 1)


def place(found: Diagnostic) -> str:
    """``line:column-end code``."""
    where = found.location
    assert where is not None
    assert where.line == where.end_line
    return f"{where.line}:{where.column}-{where.end_column} {found.code}"
