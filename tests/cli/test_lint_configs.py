"""The configs that ship: linted, and counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.plan.config import load_config
from harness.plan.lint import lint_paths
from harness.plan.matrix import count, expand

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.mark.parametrize("name", ["reference.yaml", "deployment.yaml"])
def test_example_has_no_error(name: str) -> None:
    report = lint_paths([str(CONFIGS / name)])
    assert [one.message for one in report.diagnostics if one.is_error] == []
    assert report.exit_code() == 0


def test_reference_has_the_cells_its_comment_says() -> None:
    # 2 families x 2 counts x 2 versions x (1 + 2 + 2) sets = 40; without 10 of the second family at 2 GPUs and
    # 2 x 2 batch sets at 2 GPUs: 26; one included.
    config = load_config(str(CONFIGS / "reference.yaml"))
    assert count(config) == 27
    assert len({cell.id for cell in expand(config)}) == 27
    assert "it deploys 27 cells" in config.source.text


def test_demo_has_two_cells_that_cannot_start_and_says_why() -> None:
    report = lint_paths([str(CONFIGS / "demo.yaml")])
    errors = [one for one in report.diagnostics if one.is_error]
    assert [one.code for one in errors] == ["gpu-memory"]
    assert errors[0].cells == ("gpu3080ti×1 0.12.0 bf16", "gpu3080ti×1 0.15.1 bf16")
    assert sum(file.cells for file in report.files) == 16


def test_folder_of_configs_is_linted_as_a_whole() -> None:
    report = lint_paths([str(CONFIGS)])
    names = [Path(file.path).name for file in report.files]
    assert {"demo.yaml", "deployment.yaml", "local-tiny.yaml", "reference.yaml"} <= set(names)
    assert "prices.yaml" not in names
    assert all(file.is_usable for file in report.files)
