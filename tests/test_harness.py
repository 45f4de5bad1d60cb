"""The front door: what ``import harness`` offers a notebook. In a process of its own, for imports leave traces."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import harness

ASK = """
import json, sys
import harness
listed, before = dir(harness), "pandas" in sys.modules
print(json.dumps([listed, before, harness.load.__name__, harness.compare.__name__, sorted(harness.__all__)]))
"""


def test_what_comes_when_it_is_asked_for_is_listed_before() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    listed, imported, load, compare, offered = json.loads(done.stdout)
    assert {"load", "compare", "open_run", "__version__"} <= set(listed)
    assert not imported  # asking what there is does not bring pandas in
    assert (load, compare) == ("harness.load", "compare_runs")
    assert set(offered) <= set(listed)


def test_what_is_offered_says_what_it_does() -> None:
    called = inspect.getdoc(type(harness.load).__call__)
    assert called is not None
    assert called.startswith("The run in a results folder")
    assert "frame" in str(inspect.getdoc(harness.compare))
    assert "harness.load(" in str(inspect.getdoc(harness.load))  # what `harness.load?` shows first
    assert list(inspect.signature(harness.load).parameters) == ["path"]
