"""A run as tidy pandas frames: ``harness.load("results/demo")``. Reads a run folder; writes nothing. I/O through store.

Every column is documented in ``results/README.md``; units stand in the names, seconds and tokens inside.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.errors import ConfigError, UsageError
from harness.load.slo import Slo
from harness.load.verdict import SUSPECT, VALID, VOID
from harness.results.account import SweepAccount, account
from harness.results.figures import point_row
from harness.results.hardware import Ceilings
from harness.results.pareto import pareto_front
from harness.results.point import Point
from harness.results.price_file import Prices, price_table
from harness.results.resolved import Resolved
from harness.results.rows import (
    FOUND_BY,
    POINT_KEYS,
    SEARCH_COLUMNS,
    cell_rows,
    chunk_frame,
    of_run,
    request_frame,
    run_row,
    search_row,
)
from harness.results.store import RunFolder, read_records
from harness.units import counted

if TYPE_CHECKING:
    from harness.results.canvas import Plot

VERDICTS = (VALID, SUSPECT, VOID)


class Run:
    """One sweep's results. Frames are read when first asked for and kept; the folder is never changed.

    ``cells`` has one row a cell, ``runs`` one a repeat of a cell, ``points`` one a measured load level of a run,
    ``levels`` the points with their repeats joined by the median, ``requests`` one a request, ``chunks`` one a
    token-bearing chunk; ``searches`` one a search of a run, ``skipped_levels`` one a level that was passed over.

    A damaged records file is a ConfigError where it is read; ``lenient`` leaves it out, and then ``lost`` names it.
    """

    def __init__(self, folder: RunFolder, *, lenient: bool = False) -> None:
        self.folder = folder
        self.resolved: Resolved = folder.resolved()
        self._lenient = lenient
        self._damaged: dict[str, str] = {}

    @cached_property
    def account(self) -> SweepAccount:
        """What became of every planned run."""
        return account(self.resolved.cells, repeats=self.resolved.repeats, events=self.folder.events())

    def stored_points(self) -> Iterator[Point]:
        """Every stored point with its records, one at a time, so that a large sweep fits in memory.

        Not those of runs that a resumed sweep's edited config no longer asks for, nor those it measures anew.
        """
        planned = {run.run_id: run.points for run in self.account.runs}
        stale = {event.run_id for event in self.folder.events() if event.kind == "invalidated"}
        for path in self.folder.record_files():
            run_id, _, point = path.stem.rpartition("-p")
            if run_id in planned and (run_id not in stale or int(point) in planned[run_id]):
                try:
                    yield read_records(path)
                except ConfigError as error:
                    if not self._lenient:
                        raise
                    self._damaged[path.name] = str(error)

    @cached_property
    def lost(self) -> dict[str, str]:
        """Records that the journal has as finished and that are not in the frames: file names, and why."""
        names = [f"{run.run_id}-p{point}.parquet" for run in self.account.runs for point in run.points]
        gone = {name: "missing" for name in names if not (self.folder.records / name).exists()}
        self.points  # noqa: B018  # reads every file, and finds the damaged ones
        return gone | self._damaged

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a cell, indexed by cell_id; ``state`` is the best its repeats came to."""
        return pd.DataFrame(cell_rows(self.resolved.cells, self.account)).set_index("cell_id")

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run, indexed by run_id: its state, why, and its time to ready."""
        return pd.DataFrame(map(run_row, self.account.runs)).set_index("run_id")

    @cached_property
    def searches(self) -> pd.DataFrame:
        """One row a search of a run: what it found (``answer``), whether that is ``resolved``, its ends, and the
        ``point`` of its answer."""
        points = dict(iter(self.points.groupby("run_id"))) if len(self.points) else {}
        found = [
            search_row(run, told, points.get(run.run_id, self.points.head(0)))
            for run in self.account.runs
            for told in run.searches
        ]
        return pd.DataFrame(found, columns=list(SEARCH_COLUMNS)).astype(
            dict.fromkeys(("best", "beyond"), "float64")
        )

    @cached_property
    def skipped_levels(self) -> pd.DataFrame:
        """One row a level of a run that was not measured because a lower one was lost, with the reason."""
        rows = [
            {**of_run(run), "point": told["point"], "load": told["label"], "reason": told["reason"]}
            for run in self.account.runs
            for told in run.skipped_levels
        ]
        return pd.DataFrame(rows, columns=[*FOUND_BY, "point", "load", "reason"])

    @cached_property
    def slo(self) -> Slo | None:
        """The sweep's own SLO, if it had one."""
        return None if self.resolved.slo is None else Slo.parse(self.resolved.slo)

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row a measured load level of a run, with its cell's columns beside the figures."""
        return self.points_against(self.slo)

    def points_against(self, slo: Slo | None) -> pd.DataFrame:
        """The points judged against another SLO than the sweep's own; cells in the plan's order."""
        ceilings = Ceilings(self.resolved)
        rows = [
            point_row(point, slo=slo, ceiling_tok_s=ceilings.of(point.meta)) for point in self.stored_points()
        ]
        frame = pd.DataFrame(rows, columns=None if rows else [*POINT_KEYS, "load"])
        cells = self.cells.drop(columns=["state", "reason", "runs_measured", "time_to_ready_s"])
        joined = frame.join(cells, on="cell_id", how="left")
        joined["label"] = joined["label"].fillna(joined["cell_id"])
        joined["output_throughput_tok_s_per_gpu"] = (
            joined["output_throughput_tok_s"] / joined["gpus"] if rows else np.nan
        )
        place = {cell_id: index for index, cell_id in enumerate(self.cells.index)}
        joined["place"] = joined["cell_id"].map(place)
        return joined.sort_values(["place", "repeat", "point"], ignore_index=True).drop(columns="place")

    @cached_property
    def requests(self) -> pd.DataFrame:
        """One row a request: its instants, counts and outcome. Large; read on first use."""
        frames = [request_frame(point) for point in self.stored_points()]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(POINT_KEYS))

    @cached_property
    def chunks(self) -> pd.DataFrame:
        """One row a token-bearing chunk of a request (run_id, point, warmup, index). Very large; see ``chunks_of``."""
        frames = [chunk_frame(point) for point in self.stored_points()]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["run_id", "point"])

    def chunks_of(self, run_id: str, point: int) -> pd.DataFrame:
        """The chunks of one point alone; ConfigError when it has no records."""
        return chunk_frame(read_records(self.folder.records_path(run_id, point)))

    @cached_property
    def levels(self) -> pd.DataFrame:
        """The points with the repeats of a cell and load level joined (``join_repeats``)."""
        return join_repeats(self.points)

    def meets(self, slo: Slo | str) -> pd.DataFrame:
        """The levels whose every repeat meets ``slo`` (its text or a preset's name), void ones left out."""
        levels = join_repeats(self.points_against(Slo.parse(slo) if isinstance(slo, str) else slo))
        if levels.empty:
            return levels
        return levels[levels["meets_slo"].astype(bool) & (levels["verdict"] != "void")].reset_index(drop=True)

    def pareto(
        self,
        *,
        gain: str = "output_throughput_tok_s",
        cost: str = "ttft_p95_s",
        frame: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """The levels no other level beats: more ``gain`` or less ``cost``. Void levels are never on the front."""
        levels = self.levels if frame is None else frame
        if levels.empty:
            return levels
        believed = levels[levels["verdict"] != "void"]
        front = pareto_front(believed[gain].to_list(), believed[cost].to_list())
        return believed[front].sort_values(cost)

    def cost(self, prices: Prices | None = None) -> pd.DataFrame:
        """The levels with ``price_per_h`` of the whole deployment and ``cost_per_mtok`` (1M output tokens).

        ``prices`` is a file such as ``configs/prices.yaml``, what stands in one as a mapping, or a PriceTable; without
        it the sweep's own hold, UsageError when it had none.

        At the output throughput measured (with an SLO: times the attainment, the share of requests that kept it), the
        deployment busy all the time; start-up is not in it. NaN where the table has no price for the family and count.
        """
        stated = self.resolved.prices if prices is None else prices
        if stated is None:
            raise UsageError(f"'{self.resolved.name}' had no prices; name a file: run.cost('prices.yaml')")
        table = price_table(stated)
        levels = self.levels.copy()
        hourly = [
            np.nan if (price := table.per_replica_hour(kind, count)) is None else price * replicas
            for kind, count, replicas in zip(
                levels["gpu_type"], levels["gpu_count"], levels["replicas"], strict=True
            )
        ]
        levels["price_per_h"] = hourly
        useful = levels["output_throughput_tok_s"]
        if levels["attainment"].notna().any():
            useful = useful * levels["attainment"]
        levels["cost_per_mtok"] = (levels["price_per_h"] / (useful.where(useful > 0) * 3600)) * 1e6
        return levels

    def plots(self) -> dict[str, Plot]:
        """Every plot of the report by its name (``throughput-ttft``, ``main-effects``, …); shown by a notebook."""
        from harness.results.gallery import all_plots  # matplotlib takes its time to import

        return {plot.name: plot for plot in all_plots(self)}

    def heatmap(self, rows: str, columns: str, figure: str | None = None) -> Plot | None:
        """A figure (a column of ``levels`` or ``cost_per_mtok``) over any two factors that vary: axes such as
        ``gpu_type``, flags such as ``--max-num-seqs``. UsageError says which there are. None when nothing is known."""
        from harness.results.gallery import heatmap
        from harness.results.ranking import ranked_levels

        return heatmap(self, ranked_levels(self), rows=rows, columns=columns, figure=figure)

    def __repr__(self) -> str:
        return f"<Run {self.title}: {counted(len(self.cells), 'cell')}, {counted(len(self.points), 'point')}>"

    @property
    def title(self) -> str:
        """The sweep's name, said to be simulated where it is."""
        return f"{self.resolved.name} (SIMULATED)" if self.resolved.simulated else self.resolved.name

    def _repr_html_(self) -> str:
        counts = ", ".join(f"{count} {state}" for state, count in self.account.counts().items())
        shown = self.levels.reindex(
            columns=["label", "load", "output_throughput_tok_s", "ttft_p95_s", "tpot_p95_s"]
        )
        return f"<h3>{html.escape(self.title)}</h3><p>{html.escape(counts)}</p>{shown.to_html(index=False)}"


def join_repeats(points: pd.DataFrame) -> pd.DataFrame:
    """One row a cell and load level: medians of figures, sums of request counts, the worst verdict.

    ``meets_slo`` is True where every repeat meets it; ``reasons`` are those of all repeats; ``repeats`` says how many,
    ``run_ids`` which. Levels are the same by what they are: in a search each repeat may have come to them in its own
    order, and ``point`` is the first one's.
    """
    if points.empty:
        return points
    keys = ["cell_id", "level"]
    sums = [str(name) for name in points if str(name).startswith("requests_")]
    judged = ["verdict", "meets_slo", "reasons", "interrupted"]
    fixed = ["repeat", "point", "gpu_count", "replicas", "gpus"]
    numeric = points.select_dtypes("number").columns.difference([*keys, *sums, *fixed])
    first = points.columns.difference([*keys, *sums, *numeric, *judged, "run_id", "repeat"])
    grouped = points.groupby(keys, sort=False)
    joined = pd.concat(
        [grouped[list(first)].first(), grouped[list(numeric)].median(), grouped[sums].sum()], axis=1
    )
    joined["repeats"] = grouped["run_id"].nunique()
    joined["run_ids"] = grouped["run_id"].agg(lambda names: " ".join(dict.fromkeys(names)))
    joined["verdict"] = grouped["verdict"].agg(lambda states: max(states, key=VERDICTS.index))
    joined["reasons"] = grouped["reasons"].agg(lambda texts: "; ".join(dict.fromkeys(filter(None, texts))))
    joined["interrupted"] = grouped["interrupted"].any()
    if points["meets_slo"].notna().any():
        joined["meets_slo"] = grouped["meets_slo"].agg(lambda met: bool(met.astype(bool).all()))
    return joined.reset_index()


def load(path: str | Path) -> Run:
    """The results in a run folder; ConfigError when there is none or it cannot be read."""
    return Run(RunFolder.open(Path(path)))
