"""A search inside a sweep, end to end on a simulated cloud: killed, taken up again, asked for capacity."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import harness
from harness.results.journal import read_events

LEVELS = """\
load:
  - {find: knee, duration: 1s, warmup: 0s, steps: 3}
  - {find: rate, from: 2, requests: 8, warmup: 0s, steps: 3}
slo: ttft_p95<=60s
"""


def one_cell(sweep_file: Path) -> Path:
    head = sweep_file.read_text(encoding="utf-8").partition("\nload:")[0]
    head = head.replace("gpu-count: [1, 2]", "gpu-count: [1]")
    sweep_file.write_text(head + "\n" + LEVELS, encoding="utf-8")
    return sweep_file


def test_a_killed_search_goes_on_and_its_points_answer_for_capacity(
    make_cloud, sweep_file: Path, tmp_path: Path, wait_for
) -> None:
    cloud, results = make_cloud(), tmp_path / "out"
    process = cloud.start("sweep", str(one_cell(sweep_file)), "--yes", "--results", str(results))
    wait_for(results, "point-finished", process=process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    first = {path.name: path.stat().st_mtime_ns for path in (results / "records").glob("*.parquet")}
    assert first
    resumed = cloud.run("sweep", "--resume", str(results), "--yes", "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert cloud.state()["alive"] == []
    run = harness.load(results)
    for cell_id in run.cells.index:
        points = run.points[run.points["cell_id"] == cell_id]
        assert points["point"].tolist() == list(range(6))
        assert points["load"].tolist()[:3] == ["c1", "c2", "c4"]
        # Eight requests decide nothing, and a busy machine makes clients late: where it goes is not ours to say.
        rates = points["rate_req_s"].tolist()[3:]
        assert rates[0] == 2.0
        assert len(set(rates)) == 3
        found = run.searches[run.searches["cell_id"] == cell_id]
        assert found["find"].tolist() == ["knee", "rate"]
        assert found["answer"].tolist()[1].startswith("unresolved: ")
    after = {path.name: path.stat().st_mtime_ns for path in (results / "records").glob("*.parquet")}
    assert {name: after[name] for name in first} == first
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    assert len(summary["searches"]) == 2 * len(run.cells)
    kinds = [event.kind for event in read_events(results / "journal.sqlite")]
    assert kinds.count("search-ended") >= 2 * len(run.cells)
    asked = cloud.run("capacity", str(results), "--rate", "1", "--slo", "ttft_p95<=60s", "--json")
    assert asked.returncode == 0, asked.stderr
