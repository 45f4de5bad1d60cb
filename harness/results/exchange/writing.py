"""Writes a run's points in other tools' forms, one file where that tool keeps one. I/O through files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.results.exchange.guidellm import guidellm_report
from harness.results.exchange.llmd import llmd_report
from harness.results.exchange.vllm import vllm_bench
from harness.results.figures import metrics_of
from harness.results.files import plain_json, write_text
from harness.results.frame import Run
from harness.results.point import Point
from harness.results.store import RunFolder


def write_vllm_results(folder: RunFolder, target: Path) -> list[Path]:
    """``<cell_id>/summary.json`` below ``target``, as ``vllm bench sweep`` keeps and plots them; the paths."""
    run = Run(folder)
    paths = []
    for cell_id, points in _by_cell(run):
        cell = _cell(run, cell_id)
        results = [vllm_bench(point, cell=cell, verdict=_verdict(point), slo=run.slo) for point in points]
        paths.append(target / cell_id / "summary.json")
        write_text(paths[-1], plain_json(results, indent=2) + "\n")
    return paths


def write_guidellm_reports(folder: RunFolder, target: Path) -> list[Path]:
    """``<cell_id>/benchmarks.json`` below ``target``: one report a cell, its points and repeats in it; the paths."""
    run = Run(folder)
    urls = {
        str(event.run_id): str(event.data.get("url", ""))
        for event in folder.events()
        if event.kind == "ready"
    }
    paths = []
    for cell_id, points in _by_cell(run):
        report = guidellm_report(
            points,
            cell=_cell(run, cell_id),
            target=urls.get(points[0].meta.run_id, ""),
            verdicts=[_verdict(point) for point in points],
        )
        paths.append(target / cell_id / "benchmarks.json")
        write_text(paths[-1], plain_json(report) + "\n")
    return paths


def write_llmd_reports(folder: RunFolder, target: Path) -> list[Path]:
    """``<run_id>-p<k>.yaml`` below ``target``: one report a point; the paths."""
    run = Run(folder)
    cells = {cell.id: cell for cell in run.resolved.cells}
    paths = []
    for point in run.stored_points():
        cell_id = point.meta.cell_id
        report = llmd_report(
            point,
            cell=cells[cell_id],
            label=str(run.cells.loc[cell_id, "label"]),
            sweep=run.resolved.name,
            metrics=metrics_of(point, slo=run.slo),
            seed=run.resolved.seed,
        )
        paths.append(target / f"{point.meta.run_id}-p{point.meta.point}.yaml")
        write_text(paths[-1], yaml.safe_dump(_plain(report), sort_keys=False, allow_unicode=True))
    return paths


WRITERS: Mapping[str, Callable[[RunFolder, Path], list[Path]]] = {
    "vllm-bench": write_vllm_results,
    "guidellm": write_guidellm_reports,
    "llm-d": write_llmd_reports,
}


def _by_cell(run: Run) -> Iterator[tuple[str, list[Point]]]:
    """The points of each cell, one cell in memory at a time."""
    points: list[Point] = []
    for point in run.stored_points():
        if points and point.meta.cell_id != points[0].meta.cell_id:
            yield points[0].meta.cell_id, points
            points = []
        points.append(point)
    if points:
        yield points[0].meta.cell_id, points


def _cell(run: Run, cell_id: str) -> dict[str, Any]:
    return {str(key): value for key, value in run.cells.loc[cell_id].items()}


def _verdict(point: Point) -> str:
    return metrics_of(point).verdict.state


def _plain(value: Any) -> Any:
    """Without tuples, which YAML would tag, and without what is not known."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
