from __future__ import annotations

import pandas as pd
import pytest

from harness.capacity.measured import measured_points, miss
from harness.load.slo import Slo

SLO = Slo.parse("ttft_p95<=1s,tpot_p95<=60ms")


def row(**changes: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "cell_id": "abc", "label": "small×1", "gpu_type": "small", "gpu_count": 1, "replicas": 2, "load": "c8",
        "steady_request_throughput_req_s": 4.0, "request_throughput_req_s": 5.0, "output_throughput_tok_s": 400.0,
        "achieved_concurrency": 7.5, "requests_succeeded": 100, "requests_failed": 0, "verdict": "valid",
        "meets_slo": True, "run_ids": "abc-r0 abc-r1", "ttft_p95_s": 0.5, "tpot_p95_s": 0.05, "e2e_mean_s": 1.8,
    }  # fmt: skip
    return usual | changes


def test_a_level_becomes_a_point_with_its_runs_named() -> None:
    points = measured_points(pd.DataFrame([row()]), SLO, simulated=True)
    assert len(points) == 1
    point = points[0]
    assert (point.rate_req_s, point.replicas, point.concurrency, point.e2e_mean_s) == (4.0, 2, 7.5, 1.8)
    assert point.output_tokens_per_request == 100.0
    assert (point.miss, point.void, point.source) == (None, False, "simulated")
    assert point.run_ids == ("abc-r0", "abc-r1")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ttft_p95_s": 1.41}, "ttft_p95 1410 ms > 1000 ms"),
        ({"tpot_p95_s": 0.08}, "tpot_p95 80 ms > 60 ms"),
        ({"requests_failed": 3}, "3 failed requests count as late"),
        ({}, "the SLO was missed in a repeat"),
    ],
)
def test_a_missed_slo_names_the_bound_and_the_figure(changes: dict[str, object], text: str) -> None:
    frame = pd.DataFrame([row(meets_slo=False, **changes)])
    assert miss(frame.iloc[0], SLO) == text
    assert measured_points(frame, SLO, simulated=False)[0].miss == text


def test_a_void_level_is_marked_and_an_unfinished_one_has_no_length() -> None:
    frame = pd.DataFrame([row(verdict="void", requests_succeeded=0, e2e_mean_s=float("nan"))])
    point = measured_points(frame, SLO, simulated=False)[0]
    assert point.void
    assert point.output_tokens_per_request is None
    assert point.e2e_mean_s is None
