"""Bad input is one clear line and the right exit code; nothing is half-written and no traceback is shown."""

from __future__ import annotations

import contextlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.cli.main import main

NOWHERE = str(Path(__file__).parent / "no-profiles-here")
GOOD = """\
name: small
model: m
engine-version: "0.15.1"
matrix: {gpu-type: [gpua5000], gpu-count: [1]}
load: [{concurrency: 1, duration: 1s}]
"""


def harness(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        env={
            **os.environ,
            "EXOSCALE_API_KEY": "",
            "XDG_CONFIG_HOME": os.devnull,
            "HOME": os.devnull,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "command", [["plan"], ["sweep", "--simulate", "--yes", "--results", "out"], ["lint"]]
)
@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("name: [unclosed\nmodel: x\n", ":2:", "yaml"),
        (GOOD + "colour: blue\n", ":6:1", "colour"),
        (GOOD.replace("gpu-count: [1]", "gpu-count: [none]"), ":4:", "gpu-count"),
        (GOOD.replace('"0.15.1"', "0.15"), ":3:", "quote"),
    ],
    ids=["broken YAML", "an unknown key", "a wrong type", "an unquoted version"],
)
def test_a_broken_config_is_named_with_its_place(
    command: list[str], text: str, place: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    ran = harness(
        command[0], str(path), *[part.replace("out", str(tmp_path / "out")) for part in command[1:]]
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode in (1, 2), said
    assert f"{path}{place}" in said
    assert words in said.lower()
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_config_that_is_not_there_is_named(tmp_path: Path) -> None:
    ran = harness("plan", str(tmp_path / "absent.yaml"))
    assert ran.returncode == 2
    assert "absent.yaml" in ran.stderr
    assert "Traceback" not in ran.stderr


@contextlib.contextmanager
def without_roots_rights() -> Iterator[None]:
    """For the block, what nobody in particular may read: root may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_folder_without_read_permission_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(0o755)
    with pytest.raises(SystemExit):
        main(["lint", str(folder)])  # imports what it needs while it still may
    folder.chmod(0)
    try:
        with without_roots_rights(), pytest.raises(SystemExit) as ended:
            main(["lint", str(folder)])
    finally:
        folder.chmod(0o755)
    said = capsys.readouterr()
    assert ended.value.code == 2, said
    assert "permission denied" in said.out + said.err
    assert str(folder) in said.out + said.err


def test_missing_credentials_say_where_they_are_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(GOOD, encoding="utf-8")
    ran = harness("sweep", str(path), "--yes", "--results", str(tmp_path / "out"))
    assert ran.returncode == 3, ran.stderr
    assert "EXOSCALE_API_KEY" in ran.stderr
    assert not (tmp_path / "out").exists()


class _Odd(http.server.BaseHTTPRequestHandler):
    """Answers every request with a page, or closes in the middle of a stream."""

    def do_GET(self) -> None:
        self._page()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._page()

    def _page(self) -> None:
        if self.server.closes:  # type: ignore[attr-defined]
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n10\r\ndata: {"
            )
            self.close_connection = True
            return
        page = b"<html><body>Sign in</body></html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def odd_server() -> Iterator[Callable[..., str]]:
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(*, closes: bool) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Odd)
        server.closes = closes  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("closes", [False, True], ids=["HTML", "closes mid-stream"])
def test_an_endpoint_that_is_no_openai_server_is_one_line(
    odd_server: Callable[..., str], closes: bool
) -> None:
    ran = harness("load", odd_server(closes=closes), "--concurrency", "1", "--duration", "1s")
    assert ran.returncode in (1, 3), ran.stderr
    assert ran.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("closes", [False, True], ids=["HTML", "closes mid-stream"])
def test_a_cloud_api_that_answers_nonsense_is_one_line(
    odd_server: Callable[..., str], closes: bool, tmp_path: Path
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(GOOD, encoding="utf-8")
    ran = harness(
        *("sweep", str(path), "--yes", "--results", str(tmp_path / "out")),
        EXOSCALE_API_KEY="EXO1",
        EXOSCALE_API_SECRET="planted-secret",
        EXOSCALE_API_ENDPOINT=f"{odd_server(closes=closes)}/v2",
    )
    assert ran.returncode == 3, ran.stderr
    assert ran.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in ran.stderr
    assert "planted-secret" not in ran.stdout + ran.stderr
    assert not (tmp_path / "out").exists()


def test_usage_errors_exit_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sweep"])
    assert ended.value.code == 2
    assert "name a sweep config" in capsys.readouterr().err
