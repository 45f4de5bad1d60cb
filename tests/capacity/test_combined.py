from __future__ import annotations

from harness.capacity.combined import combined
from harness.capacity.fleet import Demand, Excluded, MeasuredPoint, recommend


def level(
    cell_id: str, rate: float, *, in_flight: float, miss: str | None = None, **rest: object
) -> MeasuredPoint:
    usual = {"source": "measured", "replicas": 1, "run_ids": (f"{cell_id}-r0",), **rest}
    return MeasuredPoint(
        cell_id=cell_id, label=cell_id, gpu_type="gpua5000", gpu_count=1, load=f"c{in_flight:g}", rate_req_s=rate,
        concurrency=in_flight, miss=miss, output_tokens_per_request=100.0, e2e_mean_s=1.0, **usual,
    )  # type: ignore[arg-type]  # fmt: skip


def forecast(cell_id: str) -> list[MeasuredPoint] | Excluded:
    """One replica keeps the SLO up to 8 requests/s, and misses it at 9."""
    if cell_id == "large":
        return Excluded("large", "would not start")
    rest = {"source": "forecast", "run_ids": ()}
    return [
        level("whatever", rate, in_flight=rate, miss="late" if rate > 8 else None, **rest)
        for rate in (1.0, 4.0, 8.0, 9.0)
    ]


def test_where_measurements_found_the_limit_they_alone_count() -> None:
    measured = [level("a", 2.0, in_flight=2), level("a", 3.0, in_flight=8, miss="tpot")]
    points, excluded = combined(["a"], measured, forecast)
    assert points == measured
    assert excluded == []


def test_where_the_highest_load_still_kept_it_the_forecast_goes_on_from_there() -> None:
    measured = [level("a", 2.0, in_flight=2), level("a", 5.0, in_flight=6)]
    points, _ = combined(["a"], measured, forecast)
    assert [(point.source, point.rate_req_s) for point in points] == [
        ("measured", 2.0), ("measured", 5.0), ("forecast", 8.0), ("forecast", 9.0),
    ]  # fmt: skip
    best = recommend(points, Demand(rate_req_s=6.0)).best
    assert best is not None
    assert (best.point.source, best.per_replica_req_s, best.binding) == ("forecast", 8.0, "late at c9")
    assert best.support == measured[1]


def test_a_forecast_of_one_replica_is_put_in_the_terms_of_the_deployment_that_was_measured() -> None:
    points, _ = combined(["a"], [level("a", 10.0, in_flight=10, replicas=2)], forecast)
    assert [(point.rate_req_s, point.replicas) for point in points if point.source == "forecast"] == [
        (16.0, 2),
        (18.0, 2),
    ]
    best = recommend(points, Demand(rate_req_s=6.4)).best
    assert best is not None
    assert (best.per_replica_req_s, best.replicas) == (8.0, 1)


def test_a_cell_that_was_not_measured_has_its_forecast_alone_or_a_reason() -> None:
    points, excluded = combined(["b", "large"], [], forecast)
    assert {(point.cell_id, point.source) for point in points} == {("b", "forecast")}
    assert excluded == [Excluded("large", "would not start")]
    best = recommend(points, Demand(rate_req_s=1.0)).best
    assert best is not None
    assert (best.support, best.point.run_ids) == (None, ())


def test_measurements_stand_where_nothing_can_be_forecast() -> None:
    measured = [level("large", 2.0, in_flight=2)]
    assert combined(["large"], measured, forecast) == (measured, [])
    void = [level("large", 2.0, in_flight=2, void=True)]
    assert combined(["large"], void, forecast)[1] == [Excluded("large", "would not start")]
