from __future__ import annotations

import re

from harness.results.exchange.openmetrics import openmetrics
from harness.results.frame import load
from harness.results.store import RunFolder


def test_openmetrics_has_a_sample_a_level_and_says_simulated(run_folder: RunFolder) -> None:
    run = load(run_folder.path)
    text = openmetrics(run.levels, name='sweep "x"', simulated=True)
    assert text.endswith("# EOF\n")
    samples = [line for line in text.splitlines() if line.startswith("harness_ttft_p95_seconds{")]
    assert len(samples) == 4
    assert all('simulated="true"' in sample and 'sweep="sweep \\"x\\""' in sample for sample in samples)
    assert "# UNIT harness_ttft_p95_seconds seconds" in text
    pattern = re.compile(r'[a-z0-9_]+\{([a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\} [0-9.e+-]+')
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == 9 * 4
    assert all(pattern.fullmatch(line) for line in lines)
