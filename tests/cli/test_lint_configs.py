"""The configs that ship: linted, and counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.plan.config import load_config
from harness.plan.lint import lint_paths
from harness.plan.matrix import count, expand
from harness.sweep.preflight import preflight

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


def test_demo_has_two_cells_that_cannot_start_on_purpose() -> None:
    (file,) = lint_paths([str(CONFIGS / "demo.yaml")]).files
    assert [one.message for one in file.diagnostics] == []
    (silenced,) = file.silenced
    assert silenced.diagnostic.code == "gpu-memory"
    assert silenced.diagnostic.cells == ("gpu3080ti×1 0.12.0 bf16", "gpu3080ti×1 0.15.1 bf16")
    assert silenced.reason.startswith("two cells do not fit, on purpose")
    assert file.cells == 16


def test_plan_refuses_the_demos_two_cells_whatever_lint_was_told() -> None:
    plan = preflight(load_config(str(CONFIGS / "demo.yaml")), managed=True)
    assert plan.cells == 16
    assert [one.cell.label for one in plan.refused] == ["gpu3080ti×1 0.12.0 bf16", "gpu3080ti×1 0.15.1 bf16"]
    assert {one.findings[0].code for one in plan.refused} == {"gpu-memory"}


def test_folder_of_configs_is_linted_as_a_whole() -> None:
    report = lint_paths([str(CONFIGS)])
    names = [Path(file.path).name for file in report.files]
    assert {"demo.yaml", "deployment.yaml", "local-tiny.yaml", "reference.yaml"} <= set(names)
    assert "prices.yaml" not in names
    assert all(file.is_usable for file in report.files)
    assert report.exit_code() == 0
