"""The linter's own imports: nothing heavy, nothing that opens a socket."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "asyncio",
    "click",
    "httpx",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "socket",
    "ssl",
    "yaml",
}
PROGRAM = """
import sys
from harness.params.lint import lint_parameters
found = lint_parameters(["--dtype", "HALF", "-cc", "{"], engine_version="0.15.1")
assert len(found) == 2, found
print(" ".join(sorted(sys.modules)))
"""


def test_linting_a_list_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "harness.params.lint" in loaded
    assert loaded & HEAVY == set()
