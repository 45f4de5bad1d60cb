"""The rule to prune by, as text and in a sweep file."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigError, UsageError
from harness.plan.config import load_config
from harness.plan.pruning import PruneRule, parse_prune

SWEEP = """\
model: m/m
matrix: {gpu-type: [gpua5000], gpu-count: [1], engine-version: ["0.15.1"]}
load: [{concurrency: 1, duration: 1s}]
"""


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("keep=20%", PruneRule(keep=0.2)),
        ("keep=0.2", PruneRule(keep=0.2)),
        ("within=1.5", PruneRule(within=1.5)),
        ("equivalent", PruneRule(equivalent=True)),
        ("keep=12.5%, equivalent", PruneRule(keep=0.125, equivalent=True)),
    ],
)
def test_a_rule_is_read_and_written(text: str, rule: PruneRule) -> None:
    assert parse_prune(text) == rule
    assert parse_prune(rule.text) == rule


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no rule"),
        ("best", "'best'"),
        ("keep", "keep=20%"),
        ("keep=0%", "keep=20%"),
        ("keep=120%", "keep=20%"),
        ("keep=20%,within=1.5", "not both"),
        ("within=0.9", "within=1.5"),
        ("within=nan", "within=1.5"),
        ("equivalent=yes", "'equivalent=yes'"),
    ],
)
def test_anything_else_is_refused_in_its_own_words(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_prune(text)


def test_a_sweep_file_says_the_same_and_nothing_is_pruned_without_it(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    assert load_config(str(path)).prune is None
    path.write_text(SWEEP + "prune: {keep: 20%, equivalent: true}\n")
    assert load_config(str(path)).prune == PruneRule(keep=0.2, equivalent=True)
    path.write_text(SWEEP + "prune: {keep: 120%}\n")
    with pytest.raises(ConfigError) as refused:
        load_config(str(path))
    (finding,) = refused.value.diagnostics
    assert "keep must be a share of the cells, such as 20%" in finding.message
