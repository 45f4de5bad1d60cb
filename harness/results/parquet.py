"""The records of one measured point as a Parquet file, and back. I/O.

One row a request, its chunks as list columns; what belongs to the point is JSON in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import ConfigError
from harness.load.columns import (
    ABSENT,
    FLAGS,
    FLOATS,
    INTEGERS,
    LATER_INTEGERS,
    TEXTS,
    Columns,
    Integers,
    columns_of,
)
from harness.load.records import StageResult, client_from_json
from harness.results.files import plain_json, whole_file
from harness.results.point import Point, PointMeta

SCHEMA_VERSION = 1
METADATA_KEY = b"harness"
ROWS_PER_GROUP = 1 << 16


def write_records(path: Path, result: StageResult, *, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a point's records, whole or not at all.

    ``metadata`` says whose point it is: run_id, cell_id, repeat, point, simulated; each may be left out by a
    caller without a sweep. StoreError when the file cannot be written.
    """
    write_columns(path, Point(_meta(result, metadata or {}), columns_of(result.records)))


def write_columns(path: Path, point: Point) -> None:
    """``write_records`` of records that are columns already."""
    described = plain_json({"schema_version": SCHEMA_VERSION, **asdict(point.meta)}).encode()
    table = _table(point.columns).replace_schema_metadata({METADATA_KEY: described})
    with whole_file(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            row_group_size=ROWS_PER_GROUP,
            use_dictionary=list(TEXTS),
            store_schema=True,
        )


def read_meta(path: Path) -> PointMeta:
    """The point's metadata alone, without its rows; ConfigError when the file is not one of ours."""
    try:
        return _decode_meta(path, pq.read_schema(path).metadata)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"cannot read '{path}': {_first_line(error)}") from error


def read_records(path: Path) -> Point:
    """A point's records as columns. ConfigError when the file is damaged, of another make or a newer schema."""
    try:
        table = pq.read_table(path, memory_map=True)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"cannot read '{path}': {_first_line(error)}") from error
    meta = _decode_meta(path, table.schema.metadata)
    try:
        return Point(meta, _columns(table))
    except KeyError as error:
        raise ConfigError(f"'{path}' has no column {error}") from error


def _columns(table: pa.Table) -> Columns:
    times = table.column("chunk_times_s").combine_chunks()
    tokens = table.column("chunk_tokens").combine_chunks()
    return Columns(
        floats={name: table.column(name).to_numpy().astype(np.float64) for name in FLOATS},
        integers={name: _integers(table, name) for name in INTEGERS},
        flags={name: table.column(name).to_numpy() for name in FLAGS},
        outcomes=np.array(table.column("outcome").to_pylist(), dtype=np.str_),
        details=table.column("detail").to_pylist(),
        finish_reasons=table.column("finish_reason").to_pylist(),
        offsets=times.offsets.to_numpy().astype(np.int64),
        chunk_times_s=times.values.to_numpy(),
        chunk_tokens=tokens.values.to_numpy(),
    )


def _integers(table: pa.Table, name: str) -> Integers:
    if name in LATER_INTEGERS and name not in table.column_names:
        return np.full(len(table), ABSENT, np.int64)
    found: Integers = pc.fill_null(table.column(name), ABSENT).to_numpy()
    return found


def _table(columns: Columns) -> pa.Table:
    arrays: dict[str, pa.Array] = {}
    for name in INTEGERS:
        arrays[name] = pa.array(columns.integers[name], mask=columns.integers[name] == ABSENT)
    for name in FLOATS:
        arrays[name] = pa.array(columns.floats[name], from_pandas=True)
    for name in FLAGS:
        arrays[name] = pa.array(columns.flags[name])
    texts = (columns.outcomes.tolist(), columns.details, columns.finish_reasons)
    arrays |= {name: pa.array(values, pa.string()) for name, values in zip(TEXTS, texts, strict=True)}
    offsets = pa.array(columns.offsets.astype(np.int32))
    for name, values in (("chunk_times_s", columns.chunk_times_s), ("chunk_tokens", columns.chunk_tokens)):
        arrays[name] = pa.ListArray.from_arrays(offsets, pa.array(values))
    return pa.table(arrays)


def _meta(result: StageResult, metadata: Mapping[str, Any]) -> PointMeta:
    return PointMeta(
        run_id=metadata.get("run_id", ""),
        cell_id=metadata.get("cell_id", ""),
        repeat=metadata.get("repeat", 0),
        point=metadata.get("point", 0),
        simulated=metadata.get("simulated", False),
        label=result.label,
        stage=dict(result.stage),
        window_start_s=result.window_start_s,
        window_end_s=result.window_end_s,
        started_at_unix=result.started_at_unix,
        client=result.client,
        probe=dict(result.probe),
        server_metrics=None if result.server_metrics is None else dict(result.server_metrics),
        server_restarted=result.server_restarted,
        ended_early=result.ended_early,
        interrupted=result.interrupted,
    )


def _decode_meta(path: Path, metadata: Mapping[bytes, bytes] | None) -> PointMeta:
    if not metadata or METADATA_KEY not in metadata:
        raise ConfigError(f"'{path}' is not a records file of this program")
    document: dict[str, Any] = json.loads(metadata[METADATA_KEY])
    version = document.pop("schema_version", None)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise ConfigError(f"'{path}' has schema version {version}; this version reads up to {SCHEMA_VERSION}")
    known = {field.name for field in fields(PointMeta)}
    try:
        client = client_from_json(document.pop("client"))
        return PointMeta(client=client, **{key: value for key, value in document.items() if key in known})
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"'{path}' has incomplete metadata: {error}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
