"""The HTML report in a real browser; runs where Chromium is installed (``chromium`` or HARNESS_CHROMIUM names it)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.results.report import write_reports
from harness.results.store import RunFolder

CHROMIUM = os.environ.get("HARNESS_CHROMIUM") or shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; HARNESS_CHROMIUM names one"),
]
# The browser's own requests are kept off the network, and are told from the page's by having no origin.
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


@dataclass(frozen=True)
class Visit:
    """What a page did: the URLs it asked for beyond itself, what it told the console, and its text as rendered."""

    requests: list[str]
    console: list[str]
    dom: str


def visit(page: Path, scratch: Path, *, width: int) -> Visit:
    log = scratch / "net.json"
    done = subprocess.run(
        [
            str(CHROMIUM), *QUIET, f"--user-data-dir={scratch / 'profile'}", "--enable-logging=stderr",
            f"--log-net-log={log}", f"--window-size={width},900", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    document = json.loads(log.read_text())
    start = document["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    begun = [event["params"] for event in document["events"] if event["type"] == start and "params" in event]
    asked = [str(each["url"]) for each in begun if each.get("initiator", "not an origin") != "not an origin"]
    told = [line for line in done.stderr.splitlines() if ":CONSOLE:" in line]
    return Visit(asked, told, done.stdout)


def test_the_watch_sees_a_page_that_fetches_and_complains(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text('<img src="http://127.0.0.1:9/x.png"><script>console.error("boom")</script>')
    seen = visit(page, tmp_path, width=1280)
    assert seen.requests == ["http://127.0.0.1:9/x.png"]
    assert len(seen.console) == 1
    assert "boom" in seen.console[0]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_asks_for_nothing_and_complains_of_nothing(
    tmp_path: Path, run_builder: Callable[..., RunFolder], width: int
) -> None:
    folder = run_builder(tmp_path / "run")
    write_reports(folder)
    seen = visit(folder.path / "report.html", tmp_path, width=width)
    assert (seen.requests, seen.console) == ([], [])
    assert "synthetic (SIMULATED)" in seen.dom


def test_a_phone_scrolls_a_plot_at_a_readable_size_and_never_the_page(
    tmp_path: Path, run_builder: Callable[..., RunFolder]
) -> None:
    """Measured by a script in a copy of the page, which itself has none and forbids them."""
    folder = run_builder(tmp_path / "run")
    write_reports(folder)
    page = folder.path / "measured.html"
    script = (
        "<script>const r = document.documentElement; document.title = [innerWidth, r.scrollWidth, "
        "...[...document.images].map(each => each.width)].join(' ')</script>"
    )
    text = (folder.path / "report.html").read_text().replace("Content-Security-Policy", "x-policy")
    page.write_text(text.replace("</body>", f"{script}</body>"))
    seen = visit(page, tmp_path, width=390)
    title = re.search("<title>([0-9 ]+)</title>", seen.dom)
    assert title is not None
    wide, needed, *plots = map(int, title[1].split())
    assert wide < 640
    assert needed <= wide
    assert len(plots) > 5
    assert min(plots) >= 700  # 8.5 pt of an 880 pixels wide plot are then 10 pixels high
