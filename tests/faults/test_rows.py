"""The table of faults in README.md beside this file: no fault without a row, no row without its tests."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from harness.simulator.faults import Fault

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    faults: tuple[str, ...]
    tests: tuple[tuple[Path, str], ...]


def rows() -> list[Row]:
    found = []
    for line in (HERE / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| ") or len(cells) != 3 or cells[0] == "fault":
            continue
        tests = tuple((ROOT / path, name) for path, name in (test.split("::") for test in cells[2].split()))
        found.append(Row(cells[0], tuple(re.findall(r"`([^`]+)`", cells[0])), tests))
    return found


@cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.title)
def test_every_row_has_tests_that_exist_and_name_its_faults(row: Row) -> None:
    assert row.tests
    for path, name in row.tests:
        assert path.is_file(), path
        assert name in functions_of(path), f"{path.name} has no {name}"
    texts = "".join(path.read_text(encoding="utf-8") for path, _ in row.tests)
    assert [fault for fault in row.faults if f'"{fault}' not in texts] == []


def test_every_fault_of_the_simulator_is_in_a_row() -> None:
    listed = {fault for row in rows() for fault in row.faults}
    assert len(rows()) > 20
    assert listed == {fault.value for fault in Fault}
