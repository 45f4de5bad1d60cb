"""A load process seen from its parent: started, told when to begin, listened to, ended."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import IO

from harness.errors import InternalError
from harness.load.pipe import ERROR, FINISH, FRAME, JOB, RESULT, START, START_TIME, error_from, frame

END_WITHIN_S = 1.0
LAST_WORDS_BYTES = 4096
Hear = Callable[[int, bytes], None]


class Child:
    """One load process. ``run`` blocks the thread that waits for it; the rest may be called from any other.

    Frames that are neither result nor error go to ``hear``, in the waiting thread.
    """

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, task: bytes) -> bytearray:
        """Have the process do ``task`` and return its result; the process is gone when this returns or raises.

        CancelledError after ``stop``. The task goes down the pipe and nowhere else: there is a key in it.
        """
        with tempfile.TemporaryFile() as complaints:
            process = self._start(complaints)
            try:
                with contextlib.suppress(OSError):  # a child that died early explains itself on stderr
                    _write(process, frame(JOB, task))
                return self._listen(process)
            except EOFError:
                if self._stopped:
                    raise CancelledError from None
                raise InternalError(
                    f"the load process ended without a result: {_why(process, complaints)}"
                ) from None
            finally:
                _end(process)

    def _start(self, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise CancelledError
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.load.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                bufsize=0,
                # Ctrl-C is for the parent to act on: in its own session the child does not get it.
                start_new_session=True,
            )
            return self._process

    def _listen(self, process: subprocess.Popen[bytes]) -> bytearray:
        while True:
            kind, length = FRAME.unpack(_read(process, FRAME.size))
            content = _read(process, length)
            if kind == RESULT:
                return content
            if kind == ERROR:
                raise error_from(content)
            self._hear(kind, bytes(content))

    def begin(self, at_ns: int) -> None:
        """Have the stage's origin at ``at_ns`` on this machine's monotonic clock."""
        if self._process is not None:
            with contextlib.suppress(OSError):  # one that has died is told of where it is waited for
                _write(self._process, frame(START, START_TIME.pack(at_ns)))

    def finish(self) -> None:
        """Have the stage, which has begun, end now: its result is what was measured so far."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                _write(self._process, frame(FINISH))

    def stop(self) -> None:
        """End the process now; nothing it has done is wanted. Harmless when it is over, or has not begun."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()


def _write(process: subprocess.Popen[bytes], content: bytes) -> None:
    assert process.stdin is not None
    left = memoryview(content)
    while left:
        left = left[process.stdin.write(left) :]


def _read(process: subprocess.Popen[bytes], length: int) -> bytearray:
    """Exactly so many bytes of the child's output; EOFError when it ends before."""
    assert process.stdout is not None
    content = bytearray(length)
    left = memoryview(content)
    while left:
        got = process.stdout.readinto(left)  # type: ignore[attr-defined]  # unbuffered: a raw file
        if not got:
            raise EOFError
        left = left[got:]
    return content


def _end(process: subprocess.Popen[bytes]) -> None:
    """The child gone: by itself once its input closes, killed when it lingers."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def _why(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> str:
    """The last line of a dead child's standard error, or its exit code."""
    _end(process)
    size = complaints.seek(0, 2)
    complaints.seek(max(size - LAST_WORDS_BYTES, 0))
    lines = complaints.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {process.returncode}"
