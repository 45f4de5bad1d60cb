"""The ``harness`` command in the test's own process: pandas and the rest are imported once, not for every call.

For tests whose subject is what the command does. Those about signals, and about what one process leaves to the next,
start processes.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import FrameType

import pytest

from harness.cli.main import main


def run_here(
    *arguments: str, environment: Mapping[str, str], given: str = "", timeout_s: float = 300.0
) -> subprocess.CompletedProcess[str]:
    """Exit code and output of ``harness ARGUMENTS`` in an environment, with something typed at its questions.

    The limit is for a command that hangs; it is long, because machines that run tests are busy.
    """
    out, err = written(), written()
    with (
        environment_of(environment),
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(err),
        ending_after(timeout_s),
    ):
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    code = int(ended.value.code or 0)
    return subprocess.CompletedProcess(["harness", *arguments], code, text_of(out), text_of(err))


def written() -> io.TextIOWrapper:
    """A standard stream kept in memory, which takes bytes too."""
    return io.TextIOWrapper(io.BytesIO(), write_through=True)


def text_of(stream: io.TextIOWrapper) -> str:
    """Everything that was written to it."""
    stream.seek(0)
    return stream.read()


@contextmanager
def environment_of(wanted: Mapping[str, str]) -> Iterator[None]:
    """Exactly these environment variables inside the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - wanted.keys():
            patch.delenv(name)
        for name, value in wanted.items():
            patch.setenv(name, value)
        yield


@contextmanager
def ending_after(seconds: float) -> Iterator[None]:
    """TimeoutError inside the block when it takes longer."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done within {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
