"""Measured points, and forecasts where nobody measured: in one list, each saying which it is. Pure.

Where measurements found the load at which a cell misses the SLO, they alone count. Where the highest load measured
still kept it, the forecast of one replica goes on from there; a cell that was not measured has its forecast alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from harness.capacity.fleet import Excluded, MeasuredPoint

Forecaster = Callable[[str], list[MeasuredPoint] | Excluded]


def combined(
    cell_ids: Iterable[str], measured: Sequence[MeasuredPoint], forecast: Forecaster
) -> tuple[list[MeasuredPoint], list[Excluded]]:
    """The points of every cell, and the cells of which nothing is known. ``forecast`` gives one replica's levels."""
    points: list[MeasuredPoint] = []
    excluded: list[Excluded] = []
    for cell_id in cell_ids:
        own = [point for point in measured if point.cell_id == cell_id]
        points += own
        believed = [point for point in own if not point.void]
        if any(point.miss is not None for point in believed):
            continue
        found = forecast(cell_id)
        if isinstance(found, Excluded):
            excluded += [] if believed else [found]
        else:
            points += _beyond(found, believed, cell_id)
    return points, excluded


def _beyond(
    found: Sequence[MeasuredPoint], measured: Sequence[MeasuredPoint], cell_id: str
) -> list[MeasuredPoint]:
    """The forecast levels of more load than any measured one, as levels of the deployment that was measured."""
    if not measured:
        return [replace(point, cell_id=cell_id) for point in found]
    replicas, label = measured[0].replicas, measured[0].label
    busiest = max(point.concurrency for point in measured)
    fastest = max(point.rate_req_s for point in measured)
    whole = (
        replace(
            point,
            cell_id=cell_id,
            label=label,
            replicas=replicas,
            rate_req_s=point.rate_req_s * replicas,
            concurrency=point.concurrency * replicas,
        )
        for point in found
    )
    return [point for point in whole if point.concurrency > busiest and point.rate_req_s > fastest]
