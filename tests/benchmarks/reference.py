"""Starts the reference server: C when there is a compiler, else the same in Python, which is later and says so."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Timing:
    """What the server does for every request, exactly; ``at_once`` tokens a write (the server in Python: always 1)."""

    ttft_s: float = 0.1
    itl_s: float = 0.02
    tokens: int = 64
    at_once: int = 1

    def possible_tok_s(self, streams: int) -> float:
        """Tokens per second of so many streams that never pause."""
        return streams * self.tokens / (self.ttft_s + (self.tokens - 1) * self.itl_s)

    def arguments(self) -> list[str]:
        figures = (round(self.ttft_s * 1e6), round(self.itl_s * 1e6), self.tokens, self.at_once)
        return [str(figure) for figure in figures]


@contextlib.contextmanager
def reference_server(timing: Timing) -> Iterator[tuple[str, str]]:
    """The server's URL and what it is written in; it ends with the block."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    with tempfile.TemporaryDirectory() as folder:
        if compiler is not None:
            binary = str(Path(folder) / "reference_server")
            subprocess.run([compiler, "-O2", "-o", binary, str(HERE / "reference_server.c")], check=True)
            command = [binary]
        else:
            command = [sys.executable, str(HERE / "reference_server.py")]
        server = subprocess.Popen(
            [*command, *timing.arguments()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            yield f"http://127.0.0.1:{port}/v1", "C" if compiler else "Python"
        finally:
            server.terminate()
            server.wait(5)
