"""Frames between a load process and its parent: a kind, a length, the content. Pure."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.errors import EndpointError, HarnessError, NetworkError, UsageError
from harness.load.columns import columns_of, pack, records_of, unpack
from harness.load.records import ClientStats, StageResult

FRAME = struct.Struct("!BQ")
JOB, READY, START, PROGRESS, META, COLUMNS, ERROR = range(1, 8)
START_TIME = struct.Struct("!q")
# Errors that keep their class on the way from the child; any other becomes an InternalError.
CARRIED: Mapping[str, type[HarnessError]] = {
    error.__name__: error for error in (UsageError, NetworkError, EndpointError)
}


def frame(kind: int, content: bytes = b"") -> bytes:
    """One message."""
    return FRAME.pack(kind, len(content)) + content


def result_frames(result: StageResult) -> list[bytes]:
    """A result as the frames ``result_from`` reads."""
    meta = {
        "label": result.label,
        "stage": dict(result.stage),
        "window_start_s": result.window_start_s,
        "window_end_s": result.window_end_s,
        "started_at_unix": result.started_at_unix,
        "client": asdict(result.client),
        "probe": dict(result.probe),
        "server_metrics": None if result.server_metrics is None else dict(result.server_metrics),
        "server_restarted": result.server_restarted,
        "ended_early": result.ended_early,
        "interrupted": result.interrupted,
    }
    return [frame(META, json.dumps(meta).encode()), frame(COLUMNS, pack(columns_of(result.records)))]


def result_from(meta: Mapping[str, Any], columns: bytes) -> StageResult:
    """The result whose META and COLUMNS contents these are."""
    rest = dict(meta)
    client = ClientStats(**rest.pop("client"))
    return StageResult(**rest, client=client, records=records_of(unpack(columns)))


def error_frame(error: HarnessError) -> bytes:
    """An error of ours."""
    return frame(ERROR, json.dumps({"type": type(error).__name__, "message": str(error)}).encode())
