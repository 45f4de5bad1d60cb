"""The pre-commit hook in a scratch repository, run by pre-commit itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"


def hooks() -> list[dict[str, object]]:
    loaded: list[dict[str, object]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [hook["id"] for hook in loaded] == ["harness-lint", "harness-lint-fix"]
    return loaded


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with the hooks of this tree as local ones, which spares the installation."""
    pytest.importorskip("pre_commit", reason="pre-commit is not installed")
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    local = [{**hook, "language": "system"} for hook in hooks()]
    (tmp_path / ".pre-commit-config.yaml").write_text(
        yaml.safe_dump({"repos": [{"repo": "local", "hooks": local}]})
    )
    (tmp_path / "package.json").write_text('{"name": "nothing to lint"}')
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    return tmp_path


def run_hook(repository: Path, name: str) -> subprocess.CompletedProcess[str]:
    subprocess.run(["git", "add", "."], cwd=repository, check=True)
    folder = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(repository / ".cache"),
    }
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files", name],
        cwd=repository, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_hook_passes_right_files_and_stops_wrong_ones(repository: Path) -> None:
    shutil.copy(GOLDEN / "deployment-ok.json", repository)
    passed = run_hook(repository, "harness-lint")
    assert passed.returncode == 0, passed.stdout
    shutil.copy(GOLDEN / "deployment-err.json", repository)
    stopped = run_hook(repository, "harness-lint")
    assert stopped.returncode == 1
    assert "deployment-err.json:3:56: error[wrong-type]" in stopped.stdout


def test_fixing_hook_mends_the_file(repository: Path) -> None:
    path = repository / "list.yaml"
    path.write_text("- --enable-prefix-caching=true  # why\n")
    done = run_hook(repository, "harness-lint-fix")
    assert done.returncode == 1, "pre-commit fails a run that changed a file"
    assert path.read_text() == "- --enable-prefix-caching  # why\n"
