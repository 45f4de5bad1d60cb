"""Help and completion: what a shell asks for at every Tab must not load what the command itself needs."""

from __future__ import annotations

import subprocess
import sys

from harness.cli import load
from harness.cli.main import COMMANDS
from harness.load.request import PATHS
from harness.load.search import MOST_STEPS
from harness.load.workload import CACHE_MODES

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


def test_the_choices_and_defaults_of_load_are_those_of_its_client() -> None:
    choices = {
        option.name: list(option.type.choices)  # type: ignore[attr-defined]  # both options are choices
        for option in load.command.params
        if option.name in ("api", "cache")
    }
    assert choices == {"api": sorted(PATHS), "cache": list(CACHE_MODES)}
    assert {one.name: one.default for one in load.command.params}["find_steps"] == MOST_STEPS
