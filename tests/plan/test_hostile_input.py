"""Whatever the bytes, the answer is a report: never a traceback, never long."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cli.formats import NAMES, render_report
from harness.diagnostics import Severity
from harness.plan.fixing import fix_file
from harness.plan.lint import Judge, LintOptions, lint_file
from harness.plan.report import LintReport

# Far beyond what any of these takes: a bound that is missing shows as minutes.
HANGS_S = 60.0
SUFFIXES = (".yaml", ".json", ".toml", ".sh", ".txt", "")
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
# Pieces that the readers react to: half of everything made of them gets past the first check.
PIECES = st.sampled_from(
    [
        *"[]{}:,-#&*!|>'\"\\%@`$()<>=\n\r\t ",
        "a", "é", "漢", "\u2028", "\x85", "\ufeff", "\x00", "---\n", "<<: *a", "&a ", "*a", "- ", "a: ", "|\n ", "? ",
        "matrix: ", "load: ", "parameters: ", "gpu-type: ", "model: ", "engine-version: ", "include: ", "link: ",
        "inference-engine-parameters: ", "--max-model-len", "=32k", "--bogus", "vllm serve m ", "args: ", "image: ",
        "exo --inference-engine-params '", "# harness: ignore[x] y", "0.15", "1e999", ".inf", "0x", "true", "null",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=40).map("".join)

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**20), st.floats(), st.text(max_size=8),
    st.sampled_from(["a", "0.15.1", "--seed=1", "--bogus", "30s", "x"]),
)  # fmt: skip
KEYS = st.sampled_from(
    [
        "name", "model", "models", "matrix", "gpu-type", "gpu-count", "replicas", "engine-version", "parameters",
        "exclude", "include", "load", "workload", "timeouts", "concurrency", "rate", "duration", "requests", "link",
        "arrivals", "input-tokens", "distribution", "min", "max", "config", "engines", "extra", "repeats", "slo",
        "inference-engine-parameters", "deployments", "args", "command", "image", "resources", "limits",
    ]
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=25,
)
SWEEPS = st.fixed_dictionaries(
    {"model": st.just("m/m"), "gpu-type": st.just("a"), "engine-version": st.just("0.15.1"), "matrix": TREES},
    optional={"load": TREES, "workload": TREES, "include": TREES, "exclude": TREES, "models": TREES},
)


def check(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    judge = Judge(LintOptions())
    report = LintReport((lint_file(str(path), judge),))
    assert report.exit_code() in (0, 1, 2)
    for name in NAMES:
        render_report(report, name, color=False, fail_on=Severity.ERROR).encode("utf-8", "backslashreplace")


@SETTINGS
@given(data=st.binary(max_size=200), suffix=st.sampled_from(SUFFIXES))
def test_any_bytes_are_answered(data: bytes, suffix: str, tmp_path: Path) -> None:
    check(tmp_path / f"x{suffix}", data)


@SETTINGS
@given(text=TEXTS, suffix=st.sampled_from(SUFFIXES))
def test_any_text_is_answered(text: str, suffix: str, tmp_path: Path) -> None:
    check(tmp_path / f"x{suffix}", text.encode())


@SETTINGS
@given(tree=TREES, suffix=st.sampled_from((".yaml", ".json")))
def test_any_tree_is_answered(tree: object, suffix: str, tmp_path: Path) -> None:
    text = json.dumps(tree) if suffix == ".json" else yaml.safe_dump(tree, allow_unicode=True)
    check(tmp_path / f"x{suffix}", text.encode())


@SETTINGS
@given(tree=SWEEPS)
def test_any_sweep_is_answered(tree: object, tmp_path: Path) -> None:
    check(tmp_path / "x.yaml", yaml.safe_dump(tree).encode())


@SETTINGS
@given(items=st.lists(st.text(max_size=12), max_size=5), flow=st.booleans())
def test_fixing_any_list_changes_nothing_the_second_time(
    items: list[str], flow: bool, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    flags = ["--enable-prefix-caching=true", *items, "--seed 1"]
    path.write_text(yaml.safe_dump(flags, default_flow_style=flow, allow_unicode=True))
    fix_file(str(path), Judge(LintOptions()))
    once = path.read_bytes()
    _, mended, _ = fix_file(str(path), Judge(LintOptions()))
    assert mended == ()
    assert path.read_bytes() == once


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "- " + "x" * 1_000_000),
        (".yaml", "- |\n" + "  line of text\n" * 60_000),
        (".yaml", "- '" + "''" * 300_000 + "'"),
        (".json", '["' + "\\u0041" * 150_000 + '"]'),
        (".json", "[" + "1" * 1_000_000 + "]"),
        (".toml", "a = " + "1" * 5_000),
        (".sh", "vllm serve m " + "'a' " * 60_000),
        (".sh", "vllm serve m " + "$(" * 60_000),
        (".txt", "--a\n" * 40_000),
        (".txt", "-" * 1_000_000),
        (".yaml", "# harness: ignore[" * 100_000),
        (".yaml", "matrix: {parameters: {a: {x: [" + ",".join(map(str, range(9000))) + "], y: [1, 2, 3]}}}"),
        (".yaml", "\n" * 2_000_000),
        (".yaml", "a: &a b\n" + "c: *a\n" * 1000),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else str(value),
)
def test_large_inputs_end_in_bounded_time(suffix: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_text(text)
    started = time.process_time()
    lint_file(str(path), Judge(LintOptions()))
    assert time.process_time() - started < HANGS_S


def test_pipes_and_devices_are_read_up_to_the_limit() -> None:
    started = time.process_time()
    report = lint_file("/dev/zero", Judge(LintOptions()))
    assert not report.is_usable
    assert "larger than 4 MiB" in report.diagnostics[0].message
    assert time.process_time() - started < HANGS_S
    assert os.path.exists("/dev/zero")
