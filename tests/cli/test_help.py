"""Help and completion: what a shell asks for at every Tab must not load what the command itself needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from harness.cli import load
from harness.cli.main import COMMANDS, main
from harness.load.request import PATHS
from harness.load.search import MOST_STEPS
from harness.load.workload import CACHE_MODES
from harness.params.batch import lint_line

HEAVY = {
    "asyncio",
    "httpx",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "rich",
    "ssl",
    "starlette",
    "yaml",
}
PROGRAM = """
import sys
from harness.cli.main import COMMANDS, main
for name in COMMANDS:
    try:
        main([name, "--help"])
    except SystemExit as end:
        assert end.code == 0, (name, end.code)
print(sorted(sys.modules), file=sys.stderr)
"""


def test_the_help_of_no_command_imports_what_its_work_needs() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.count("Usage:") == len(COMMANDS)
    loaded = {name.strip("'[],") for name in done.stderr.split()}
    assert {"click", "harness.cli.load"} <= loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize(("word", "meant"), [("capcity", "capacity"), ("Lint", "lint")])
def test_a_mistyped_command_is_told_which_was_meant(
    word: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err.endswith(f"Error: No such command {word!r}. Did you mean {meant!r}?\n")


def test_lint_help_describes_the_lines_of_a_batch(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["lint", "--help"])
    help_text = " ".join(capsys.readouterr().out.split())
    request = {"parameters": ["--seed", "1"], "engine_version": "0.15.1"}
    assert json.dumps(request) in help_text
    answer = lint_line(json.dumps({**request, "parameters": ["--sede", "1"]}), load_model_config=lambda _: {})
    (found,) = answer["diagnostics"]  # type: ignore[misc]  # a list, as the answer's type does not say
    for key in (*answer, *found, *lint_line("{", load_model_config=lambda _: {})):
        assert f'"{key}"' in help_text


def test_the_choices_and_defaults_of_load_are_those_of_its_client() -> None:
    choices = {
        option.name: list(option.type.choices)  # type: ignore[attr-defined]  # both options are choices
        for option in load.command.params
        if option.name in ("api", "cache")
    }
    assert choices == {"api": sorted(PATHS), "cache": list(CACHE_MODES)}
    assert {one.name: one.default for one in load.command.params}["find_steps"] == MOST_STEPS
