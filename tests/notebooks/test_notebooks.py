"""Every notebook runs offline on the committed sample, says that it is simulated, and keeps its outputs."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def code_of(path: Path) -> list[str]:
    cells = [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]
    return ["".join(cell["source"]) for cell in cells]


def test_there_are_three_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01-read-a-sweep",
        "02-plan-capacity",
        "03-compare-engine-versions",
    ]


def test_what_opens_them_is_an_extra_that_the_readme_and_the_first_one_name() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(each.startswith("jupyterlab") for each in extras["notebooks"])
    command = "pip install -e '.[notebooks]'"
    assert command in (ROOT / "README.md").read_text()
    assert command in "".join(read(NOTEBOOKS[0])["cells"][0]["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_runs_from_top_to_bottom(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    sources = code_of(path)
    assert len(sources) >= 5
    names: dict[str, Any] = {}
    for number, source in enumerate(sources):
        exec(compile(source, f"{path.name}:{number}", "exec"), names)  # our own notebook
    assert names["run"].resolved.simulated


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_keeps_its_outputs_and_no_errors(path: Path) -> None:
    cells = [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]
    assert sum(bool(cell["outputs"]) for cell in cells) >= len(cells) - 1
    assert {output["output_type"] for cell in cells for output in cell["outputs"]} == {"execute_result"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_says_simulated_in_its_title_and_names_no_machine(path: Path) -> None:
    document = read(path)
    assert "SIMULATED" in "".join(document["cells"][0]["source"]).splitlines()[0]
    text = path.read_text(encoding="utf-8")
    assert "/home/" not in text
    assert "/tmp/" not in text
