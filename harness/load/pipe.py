"""Frames between a load process and its parent: a kind, a length, the content. Pure."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict

from harness.errors import EndpointError, HarnessError, InternalError, NetworkError, UsageError
from harness.load.columns import Records, columns_of, pack, unpack
from harness.load.records import StageResult, client_from_json

FRAME = struct.Struct("!BQ")
JOB, READY, START, PROGRESS, RESULT, ERROR, FINISH = range(1, 8)
START_TIME = struct.Struct("!q")
META_BYTES = struct.Struct("@q")
ALIGNMENT = 8
# Errors that keep their class on the way from the child; any other becomes an InternalError.
CARRIED: Mapping[str, type[HarnessError]] = {
    error.__name__: error for error in (UsageError, NetworkError, EndpointError)
}
Pieces = list[bytes | memoryview]


def frame(kind: int, content: bytes = b"") -> bytes:
    """One message."""
    return FRAME.pack(kind, len(content)) + content


def result_pieces(result: StageResult) -> Pieces:
    """A result as what ``result_from`` reads, to be written piece after piece; its columns are not copied."""
    described = {
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
    meta = json.dumps(described).encode()
    meta += b" " * (-len(meta) % ALIGNMENT)
    return [META_BYTES.pack(len(meta)), meta, *pack(columns_of(result.records))]


def result_frame(result: StageResult) -> Pieces:
    """The frame of a result."""
    pieces = result_pieces(result)
    return [FRAME.pack(RESULT, sum(len(piece) for piece in pieces)), *pieces]


def result_from(content: bytes | bytearray) -> StageResult:
    """The result whose bytes these are; its columns are views into them."""
    (length,) = META_BYTES.unpack_from(content)
    begin = META_BYTES.size
    meta = json.loads(bytes(content[begin : begin + length]))
    client = client_from_json(meta.pop("client"))
    columns = unpack(memoryview(content)[begin + length :])
    return StageResult(**meta, client=client, records=Records(columns))


def error_frame(error: HarnessError) -> bytes:
    """An error of ours."""
    return frame(ERROR, json.dumps({"type": type(error).__name__, "message": str(error)}).encode())


def error_from(content: bytes | bytearray) -> HarnessError:
    """The error ``error_frame`` carried."""
    described = json.loads(content)
    return CARRIED.get(described["type"], InternalError)(described["message"])
