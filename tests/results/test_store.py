from __future__ import annotations

import dataclasses
import json
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.errors import ConfigError, InternalError, UsageError
from harness.load.records import Outcome, RequestRecord, StageResult
from harness.plan.cells import Cell
from harness.results.files import StoreError, whole_file
from harness.results.price_file import load_prices
from harness.results.resolved import Resolved
from harness.results.store import RunFolder, maybe_alive, read_meta, read_records, write_records
from harness.secret import Secret

StageMaker = Callable[..., StageResult]
RunBuilder = Callable[..., RunFolder]
META = {"run_id": "abc-r1", "cell_id": "abc", "repeat": 1, "point": 2, "simulated": True}


def as_comparable(record: RequestRecord) -> dict[str, object]:
    fields = dataclasses.asdict(record)
    fields["chunk_times_s"] = record.chunk_times_s.tolist()
    fields["chunk_tokens"] = record.chunk_tokens.tolist()
    return fields


def test_every_field_of_every_record_survives_the_file(tmp_path: Path, stage_maker: StageMaker) -> None:
    stage = stage_maker(requests=20, failures=3, jitter=0.2)
    stage.records[0] = RequestRecord(index=0, scheduled_s=0.5)
    stage.records[1].finish_reason = None
    stage.records[1].detail = "zażółć\n\x00"
    write_records(tmp_path / "x.parquet", stage, metadata=META)
    back = read_records(tmp_path / "x.parquet").to_stage_result()
    assert len(back.records) == 20
    assert [as_comparable(record) for record in back.records] == [as_comparable(r) for r in stage.records]
    assert all(isinstance(record.outcome, Outcome) for record in back.records)
    assert (back.label, back.window_end_s, back.client) == (stage.label, stage.window_end_s, stage.client)
    assert back.probe == {"usage": True, "cache_salt": True}
    assert back.server_metrics is None


def test_metadata_is_read_without_the_rows(tmp_path: Path, stage_maker: StageMaker) -> None:
    stage = stage_maker(requests=9)
    stage.server_metrics = {"vllm:generation_tokens_total": 99.0}
    write_records(tmp_path / "x.parquet", stage, metadata=META)
    meta = read_meta(tmp_path / "x.parquet")
    assert (meta.run_id, meta.cell_id, meta.repeat, meta.point, meta.simulated) == (
        "abc-r1",
        "abc",
        1,
        2,
        True,
    )
    assert meta.server_metrics == {"vllm:generation_tokens_total": 99.0}
    assert meta.stage == {"kind": "closed-loop", "concurrency": 8}


def test_a_stage_without_a_record_can_be_kept(tmp_path: Path, stage_maker: StageMaker) -> None:
    stage = stage_maker(requests=9)
    stage.records = []
    write_records(tmp_path / "x.parquet", stage)
    point = read_records(tmp_path / "x.parquet")
    assert len(point) == 0
    assert point.to_stage_result().records == []


def test_chunks_of_a_request_are_found_by_its_offsets(tmp_path: Path, stage_maker: StageMaker) -> None:
    stage = stage_maker(requests=3, tokens=4, ttft_s=1.0, tpot_s=0.5, concurrency=3)
    write_records(tmp_path / "x.parquet", stage)
    columns = read_records(tmp_path / "x.parquet").columns
    assert columns.offsets.tolist() == [0, 4, 8, 12]
    np.testing.assert_allclose(columns.chunk_times_s[4:8], [1.0, 1.5, 2.0, 2.5])
    assert columns.chunk_tokens.tolist() == [1] * 12


def test_a_secret_in_the_metadata_is_refused_and_leaves_no_file(
    tmp_path: Path, stage_maker: StageMaker
) -> None:
    stage = stage_maker(requests=2)
    stage.probe = {"key": Secret("s3cr3t")}
    with pytest.raises(InternalError, match="secret"):
        write_records(tmp_path / "x.parquet", stage)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "report.md"
    target.write_text("old")

    def fail_half_way() -> None:
        with whole_file(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert target.read_text() == "old"


def test_writing_below_a_file_is_one_line(tmp_path: Path, stage_maker: StageMaker) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_records(tmp_path / "file" / "x.parquet", stage_maker(requests=1))


@pytest.mark.parametrize("damage", ["cut", "foreign", "newer", "no-column", "missing"])
def test_a_damaged_records_file_is_one_line(tmp_path: Path, stage_maker: StageMaker, damage: str) -> None:
    path = tmp_path / "x.parquet"
    write_records(path, stage_maker(requests=5))
    table = pq.read_table(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "foreign":
        pq.write_table(pa.table({"a": [1]}), path)
    elif damage == "newer":
        newer = json.dumps({"schema_version": 99})
        pq.write_table(table.replace_schema_metadata({b"harness": newer.encode()}), path)
    elif damage == "no-column":
        pq.write_table(table.drop_columns(["sent_s"]), path)
    else:
        path.unlink()
    with pytest.raises(ConfigError) as caught:
        read_records(path)
    assert "x.parquet" in str(caught.value)
    assert "\n" not in str(caught.value)


def make_resolved(cells: dict[str, Cell]) -> Resolved:
    return Resolved(
        name="x",
        started_at="2026-11-23T16:00:00Z",
        simulated=False,
        deployer="local",
        cells=tuple(cells.values()),
    )


def test_the_resolved_sweep_comes_back_as_it_was(run_folder: RunFolder, cells: dict[str, Cell]) -> None:
    resolved = RunFolder.open(run_folder.path).resolved()
    assert resolved.cells == tuple(cells.values())
    assert resolved.cells[0].axes == {"gpu-type": "gpua5000", "gpu-count": "1", "parameters": "base"}
    assert (resolved.slo, resolved.seed, resolved.simulated) == ("ttft_p95<=0.3s,tpot_p95<=50ms", 7, True)
    assert resolved.load == ({"concurrency": 8}, {"concurrency": 32})
    assert Resolved.parse(resolved.to_json()) == resolved


def test_record_files_are_listed_by_run_and_number(run_folder: RunFolder, cells: dict[str, Cell]) -> None:
    (run_folder.records / "notes.txt").write_text("not records")
    names = [path.name for path in run_folder.record_files()]
    expected = [f"{cells[name].id}-r0-p{point}.parquet" for name in ("slow", "fast") for point in (0, 1)]
    assert names == sorted(expected)
    assert len(names) == 4


def test_a_run_is_not_overwritten_unless_asked(run_folder: RunFolder, cells: dict[str, Cell]) -> None:
    with pytest.raises(UsageError, match="holds a run already"):
        RunFolder.create(run_folder.path, config=b"", resolved=make_resolved(cells))
    folder, journal = RunFolder.create(
        run_folder.path, config=b"new", resolved=make_resolved(cells), replace=True
    )
    journal.close()
    assert (folder.path / "config.yaml").read_bytes() == b"new"
    assert folder.record_files() == []
    assert folder.events() == []


def test_a_folder_with_files_of_others_is_never_replaced(tmp_path: Path, cells: dict[str, Cell]) -> None:
    (tmp_path / "thesis.tex").write_text("ten years of work")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        RunFolder.create(tmp_path, config=b"", resolved=make_resolved(cells), replace=True)
    assert (tmp_path / "thesis.tex").exists()


def test_what_a_killed_writer_left_is_replaced_with_the_run(tmp_path: Path, cells: dict[str, Cell]) -> None:
    (tmp_path / ".resolved.json.4711.partial").write_bytes(b"{")
    resolved = Resolved("again", "2026-01-01T00:00:00Z", True, "exoscale", tuple(cells.values()))
    _, journal = RunFolder.create(tmp_path, config=b"", resolved=resolved, replace=True)
    journal.close()
    assert not list(tmp_path.glob(".*.partial"))


def test_a_run_whose_deployments_may_live_is_not_replaced(tmp_path: Path, cells: dict[str, Cell]) -> None:
    path = tmp_path / "run"
    _, journal = RunFolder.create(path, config=b"", resolved=make_resolved(cells))
    with journal:
        journal.append("create-intended", run_id="a-r0")
        journal.append("deleted", run_id="a-r0", data={"never_created": True})
        journal.append("create-intended", run_id="b-r0")
        journal.append("created", run_id="b-r0")
        journal.append("failed", run_id="b-r0")
    with pytest.raises(UsageError, match="1 of its deployments may still be alive"):
        RunFolder.create(path, config=b"", resolved=make_resolved(cells), replace=True)


def test_a_deployment_handed_from_run_to_run_and_deleted_bars_no_replacement(tmp_path: Path) -> None:
    resolved = Resolved("reused", "2026-01-01T00:00:00Z", True, "exoscale", ())
    folder, journal = RunFolder.create(tmp_path / "run", config=b"", resolved=resolved)
    with journal:
        for kind, run_id in (
            ("create-intended", "a"),
            ("created", "a"),
            ("adopted", "b"),
            ("handed-over", "a"),
        ):
            journal.append(kind, run_id=run_id, data={"name": "n", "deployment_id": "d"})
        assert maybe_alive(journal.events()) == ["b"]
        journal.append("deleted", run_id="b")
        assert maybe_alive(journal.events()) == []
    RunFolder.create(folder.path, config=b"", resolved=resolved, replace=True)[1].close()


def test_a_run_in_progress_is_not_replaced(tmp_path: Path, cells: dict[str, Cell]) -> None:
    _, journal = RunFolder.create(tmp_path / "run", config=b"", resolved=make_resolved(cells))
    with journal, pytest.raises(UsageError, match="in use"):
        RunFolder.create(tmp_path / "run", config=b"", resolved=make_resolved(cells), replace=True)


def test_opening_what_is_no_run_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no results folder"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"no resolved\.json"):
        RunFolder.open(tmp_path)


def test_the_journal_of_a_run_folder_is_private(run_folder: RunFolder) -> None:
    assert stat.S_IMODE(run_folder.journal_path.stat().st_mode) == 0o600


def test_prices_are_looked_up_by_family_and_count(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(
        "currency: EUR\nas-of: 2026-10-01\nwhat: test\nper-hour:\n  gpua5000: {1: 1.5, 2: 2.5}\n",
        encoding="utf-8",
    )
    prices = load_prices(path)
    assert prices.per_replica_hour("gpua5000", 2) == 2.5
    assert prices.per_replica_hour("gpua5000", 4) is None
    assert prices.per_replica_hour("gpu3", 1) is None
    assert (prices.currency, prices.as_of) == ("EUR", "2026-10-01")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected a mapping"),
        ("currency: EUR\nas-of: x\nwhat: y\n", "'per-hour' is missing"),
        ("currency: EUR\nas-of: x\nwhat: y\nper-hour: {a: {1: cheap}}\n", "'1: cheap'"),
        ("currency: EUR\nas-of: x\nwhat: y\nper-hour: {a: {one: 1}}\n", "'one: 1'"),
        ("currency: EUR\nas-of: x\nwhat: y\nper-hour: {a: {1: -1}}\n", "'1: -1'"),
        ("currncy: EUR\n", "unknown key 'currncy'"),
        ("a: [", "cannot read the price table"),
    ],
)
def test_a_price_table_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_prices(path)
