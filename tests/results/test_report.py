from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.plan.cells import Cell
from harness.results.frame import Run
from harness.results.journal import Journal
from harness.results.predictions import predictions
from harness.results.ranking import ranked_levels
from harness.results.report import build, summary, write_reports
from harness.results.store import RunFolder

RunBuilder = Callable[..., RunFolder]


class Page(HTMLParser):
    """What a test wants to know of a page: tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(name="reported", scope="module")
def reported_fixture(tmp_path_factory: pytest.TempPathFactory, run_builder: RunBuilder) -> Path:
    folder = run_builder(tmp_path_factory.mktemp("reported") / "synthetic")
    write_reports(folder)
    return folder.path


def test_every_cell_is_accounted_for_with_its_state_and_reason(
    reported: Path, cells: dict[str, Cell]
) -> None:
    for name in ("report.md", "report.html"):
        text = (reported / name).read_text(encoding="utf-8")
        assert [name for name, cell in cells.items() if cell.id not in text] == []
        assert "--max-num-seqs must be 1 or more" in text
        assert "No available memory" in text
        assert "no capacity" in text
    states = {
        cell["cell_id"]: cell["state"]
        for cell in json.loads((reported / "summary.json").read_text())["cells"]
    }
    assert {name: states[cell.id] for name, cell in cells.items()} == {
        "slow": "measured", "fast": "measured", "refused": "refused", "failed": "failed", "skipped": "skipped",
    }  # fmt: skip


def test_the_answer_within_the_slo_comes_first(reported: Path) -> None:
    answers = json.loads((reported / "summary.json").read_text())["answers"]
    assert len(answers) == 2
    assert answers[1].startswith("Highest output throughput: gpurtx6000pro×1 0.15.1 base at c32")
    # TTFT 0.2 s and TPOT 40 ms at c32 are within 0.3 s and 50 ms
    assert answers[0].startswith(
        "Most requests within the SLO (ttft_p95<=0.3s,tpot_p95<=50ms): gpurtx6000pro×1"
    )
    text = (reported / "report.md").read_text(encoding="utf-8")
    assert (
        text.index("which GPU is faster?")
        < text.index("Most requests within the SLO")
        < text.index("## Cells")
    )


def test_levels_are_ranked_and_the_slow_cells_high_load_misses_the_slo(reported: Path) -> None:
    levels = json.loads((reported / "summary.json").read_text())["levels"]
    assert [(level["gpu_type"], level["load"], level["meets_slo"]) for level in levels] == [
        ("gpurtx6000pro", "c32", True),
        ("gpurtx6000pro", "c8", True),
        ("gpua5000", "c8", True),
        ("gpua5000", "c32", False),
    ]


def test_figures_are_those_the_records_were_made_of(reported: Path) -> None:
    levels = json.loads((reported / "summary.json").read_text())["levels"]
    fast = next(level for level in levels if level["gpu_type"] == "gpurtx6000pro" and level["load"] == "c8")
    # made with TTFT 0.1 s and TPOT 20 ms under 5 % log-normal jitter; 240 requests of 11 tokens
    assert fast["ttft_p50_s"] == pytest.approx(0.1, rel=0.02)
    assert fast["tpot_p50_s"] == pytest.approx(0.02, rel=0.02)
    assert fast["e2e_mean_s"] == pytest.approx(0.1 + 10 * 0.02, rel=0.02)
    assert (fast["requests_sent"], fast["output_tokens"]) == (240, 2640)
    # 8 users, one request per 0.3015 s each
    assert fast["request_throughput_req_s"] == pytest.approx(8 / 0.3015, rel=0.03)


def check_marks(path: Path, *, simulated: bool) -> None:
    text = (path / "report.html").read_text(encoding="utf-8")
    assert ("<title>synthetic (SIMULATED)</title>" in text) is simulated
    images = [alt for image in Page(text).all("img") if (alt := image["alt"])]
    assert len(images) >= 10
    assert all(("(SIMULATED)" in alt) is simulated for alt in images)
    plots = [plot.name for plot in (path / "plots").iterdir()]
    assert len(plots) == len(images)
    assert all(name.startswith("simulated-") is simulated for name in plots)


def test_a_simulated_run_says_so_in_title_plots_and_file_names(reported: Path) -> None:
    check_marks(reported, simulated=True)


def test_a_real_run_does_not_say_that_it_is_simulated(tmp_path: Path, run_builder: RunBuilder) -> None:
    write_reports(run_builder(tmp_path / "run", simulated=False))
    check_marks(tmp_path / "run", simulated=False)
    for name in ("report.md", "report.html", "summary.json"):
        assert "SIMULATED" not in (tmp_path / "run" / name).read_text(encoding="utf-8")


def test_the_page_fetches_nothing_and_can_be_read_without_eyes_or_mouse(reported: Path) -> None:
    text = (reported / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.all("script") == []
    assert page.all("link") == []
    sources = [image["src"] or "" for image in page.all("img")]
    assert len(sources) >= 7
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|url\(|@import", text)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    heads = page.all("th")
    assert len(heads) > 20
    assert {head["scope"] for head in heads} == {"col", "row"}
    regions = [region for region in page.all("div") if region.get("role") == "region"]
    assert len(regions) == len(page.all("table")) >= 2
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions)
    targets = {attributes["id"] for _, attributes in page.tags if attributes.get("id")}
    links = [link["href"] or "" for link in page.all("a")]
    assert len(links) >= 5
    assert {link.removeprefix("#") for link in links} <= targets


def test_text_of_the_engine_is_never_markup(tmp_path: Path, run_builder: RunBuilder) -> None:
    folder = run_builder(tmp_path / "run")
    document = json.loads((folder.path / "resolved.json").read_text())
    document["question"] = "<script>alert(1)</script> a|b"
    (folder.path / "resolved.json").write_text(json.dumps(document))
    for path in folder.record_files():
        path.unlink()
    write_reports(folder)
    assert "<script>" not in (folder.path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script>alert(1)&lt;/script> a\\|b" in (folder.path / "report.md").read_text(encoding="utf-8")


def test_a_partial_run_reports_what_is_there_and_says_it_is_partial(
    tmp_path: Path, run_builder: RunBuilder
) -> None:
    run = Run(run_builder(tmp_path / "run", finished=False))
    levels = ranked_levels(run)
    told = summary(run, levels, build(run, levels, predictions(run)))
    assert not told["finished"]
    assert told["counts"] == {"measured": 2, "refused": 1, "failed": 1, "not started": 1}
    assert any("partial (interrupted by SIGINT)" in line for line in told["warnings"])
    assert len(told["levels"]) == 4


def test_a_run_that_measured_nothing_still_has_a_report(tmp_path: Path, run_builder: RunBuilder) -> None:
    folder = run_builder(tmp_path / "run")
    stored = folder.record_files()
    assert len(stored) == 4
    for path in stored:
        path.unlink()
    paths = write_reports(folder)
    assert [path.suffix for path in paths if path.suffix == ".png"] == [".png"]  # times to ready are known
    assert "No answer: nothing was measured." in (folder.path / "report.md").read_text(encoding="utf-8")


def test_reports_are_rebuilt_alike_from_the_stored_files_alone(reported: Path) -> None:
    names = ("report.md", "report.html", "summary.json", "points.csv", "cells.csv")
    before = {name: (reported / name).read_bytes() for name in names}
    for name in names:
        (reported / name).unlink()
    write_reports(reported)
    assert {name: (reported / name).read_bytes() for name in names} == before


def test_a_report_leaves_no_plot_behind_that_it_does_not_show(
    tmp_path: Path, run_builder: RunBuilder
) -> None:
    folder = run_builder(tmp_path / "run")
    folder.plots.mkdir(exist_ok=True)
    (folder.plots / "simulated-of-an-older-version.png").write_bytes(b"png")
    shown = [path for path in write_reports(folder) if path.suffix == ".png"]
    assert len(shown) > 5
    assert sorted(folder.plots.iterdir()) == sorted(shown)


def test_cells_come_best_first_and_the_rest_with_the_reason(reported: Path) -> None:
    text = (reported / "report.md").read_text(encoding="utf-8")
    tables = text[text.index("## Cells") :].split("<details>")[0]
    rows = [
        [field.strip() for field in line.split("|")[1:-1]] for line in tables.splitlines() if line[:1] == "|"
    ]
    assert [row[0] for row in rows] == [
        "Cell", "---",
        "gpurtx6000pro×1 0.15.1 base", "gpua5000×1 0.15.1 base",
        "Cell", "---",
        "gpu3080ti×1 0.15.1 wide", "gpu3080ti×1 0.15.1 base", "gpu3×2 0.15.1 base",
    ]  # fmt: skip
    assert [row[1] for row in rows[2:4]] == ["c32", "c8"]
    assert [row[1:] for row in rows[6:]] == [
        ["refused", "--max-num-seqs must be 1 or more: error\\[out-of-range]"],
        ["failed", "out-of-memory: No available memory"],
        ["skipped", "no capacity"],
    ]


def test_a_failed_cell_says_where_its_engines_log_is(
    tmp_path: Path, run_builder: RunBuilder, cells: dict[str, Cell]
) -> None:
    folder = run_builder(tmp_path / "run")
    with Journal.open(folder.journal_path) as journal:
        journal.append("engine-log", run_id=f"{cells['failed'].id}-r0", data={"file": "logs/x.log"})
    write_reports(folder)
    text = (folder.path / "report.md").read_text(encoding="utf-8")
    assert "| failed | out-of-memory: No available memory (log: logs/x.log) |" in text


def test_the_csv_has_one_row_a_point_and_units_in_its_heads(reported: Path) -> None:
    with open(reported / "points.csv", encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 4
    assert {"ttft_p95_s", "tpot_p95_s", "output_throughput_tok_s", "requests_failed", "verdict"} <= set(
        rows[0]
    )
    assert sorted(int(row["requests_failed"]) for row in rows) == [0, 0, 0, 2]


def test_percentiles_of_too_few_requests_are_marked(reported: Path) -> None:
    text = (reported / "report.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| gpurtx6000pro×1 0.15.1 base | c8 "))
    heads = next(line for line in text.splitlines() if "TTFT p99 (ms)" in line).split(" | ")
    fields = dict(zip(heads, row.split(" | "), strict=True))
    assert fields["TTFT p99 (ms)"].endswith("\\*")  # 240 requests, 1000 needed
    assert not fields["TTFT p95 (ms)"].endswith("\\*")  # 200 needed
