"""Process groups by id: find, signal and prove them gone. Linux and macOS; start times only where /proc is."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections import deque
from pathlib import Path

LOG_TAIL = 400
NAME_VARIABLE = "HARNESS_DEPLOYMENT"


def free_port() -> int:
    """A TCP port that was free on loopback a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail_of(log: Path) -> list[str]:
    """The log's last lines; [] when there is none."""
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            return [line.rstrip("\n") for line in deque(lines, LOG_TAIL)]
    except OSError:
        return []


def start_ticks(pid: int) -> str:
    """When a process began, in clock ticks since boot: with the pid it names one process for good; "" if over."""
    try:
        return (
            Path(f"/proc/{pid}/stat")
            .read_text(encoding="ascii", errors="replace")
            .rpartition(")")[2]
            .split()[19]
        )
    except (OSError, IndexError):
        return ""


def signal_group(group: int, number: signal.Signals) -> None:
    """Signal a process group; nothing when it is over."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def group_alive(group: int) -> bool:
    """True while any process of the group exists, a zombie of another parent included."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def find_by_environment(name: str) -> int | None:
    """The process group leader whose environment carries this deployment name; None when there is none."""
    wanted = f"{NAME_VARIABLE}={name}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            pid = int(folder.name)
            if wanted in environment and os.getpgid(pid) == pid:
                return pid
        except (OSError, ValueError):
            continue  # over meanwhile, or another user's
    return None
