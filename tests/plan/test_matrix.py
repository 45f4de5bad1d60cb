"""Expansion against GitHub's own published example and counts worked by hand."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.plan.config import Matrix, SweepConfig, load_config
from harness.plan.matrix import DEFAULTS, combinations, count, expand

Load = Callable[[str], SweepConfig]

TAIL = "load: [{concurrency: 1, requests: 1}]\n"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def read(text: str) -> SweepConfig:
        path = tmp_path / "sweep.yaml"
        path.write_text(text + TAIL)
        return load_config(str(path))

    return read


def test_include_follows_the_example_in_githubs_documentation() -> None:
    # fruit/animal example: gpu-type is fruit, engine-version is animal, zone-like extras are model and replicas.
    matrix = Matrix(
        axes={"gpu-type": ("apple", "pear"), "engine-version": ("cat", "dog")},
        include=(
            {"model": "green"},
            {"model": "pink", "engine-version": "cat"},
            {"gpu-type": "apple", "replicas": 7},
            {"gpu-type": "banana"},
            {"gpu-type": "banana", "engine-version": "cat"},
        ),
    )
    found = [
        {key: value for key, value in made.items() if key != "gpu-count"} for made in combinations(matrix)
    ]
    assert found == [
        {"gpu-type": "apple", "engine-version": "cat", "model": "pink", "replicas": 7},
        {"gpu-type": "apple", "engine-version": "dog", "model": "green", "replicas": 7},
        {"gpu-type": "pear", "engine-version": "cat", "model": "pink", "replicas": 1},
        {"gpu-type": "pear", "engine-version": "dog", "model": "green", "replicas": 1},
        {"gpu-type": "banana", "replicas": 1},
        {"gpu-type": "banana", "engine-version": "cat", "replicas": 1},
    ]


def test_exclude_matches_partially_and_first_axis_varies_slowest(load: Load) -> None:
    config = load(
        "model: m/m\nmatrix:\n  gpu-type: [a, b]\n  gpu-count: [1, 2]\n  engine-version: ['0.12.0', '0.15.1']\n"
        "exclude: [{gpu-type: a, gpu-count: 2}]\n"
    )
    cells = [(cell.gpu_type, cell.gpu_count, cell.engine_version) for cell in expand(config)]
    assert cells == [
        ("a", 1, "0.12.0"),
        ("a", 1, "0.15.1"),
        ("b", 1, "0.12.0"),
        ("b", 1, "0.15.1"),
        ("b", 2, "0.12.0"),
        ("b", 2, "0.15.1"),
    ]
    assert count(config) == 6


def test_mapping_set_makes_the_product_of_its_values_and_links_zip(load: Load) -> None:
    config = load(
        "model: m/m\nengine-version: '0.15.1'\ngpu-type: a\nparameters: [--seed=1]\nmatrix:\n  parameters:\n"
        "    grid: {max-num-seqs: [64, 256], enable-prefix-caching: [true, false], swap-space: null}\n"
        "    linked: {link: [a, b], a: [1, 2], b: [x, {k: [1, v]}]}\n"
    )
    cells = list(expand(config))
    assert [cell.parameters for cell in cells] == [
        ("--seed=1", "--max-num-seqs=64", "--enable-prefix-caching"),
        ("--seed=1", "--max-num-seqs=64", "--no-enable-prefix-caching"),
        ("--seed=1", "--max-num-seqs=256", "--enable-prefix-caching"),
        ("--seed=1", "--max-num-seqs=256", "--no-enable-prefix-caching"),
        ("--seed=1", "--a=1", "--b=x"),
        ("--seed=1", "--a=2", '--b={"k":[1,"v"]}'),
    ]
    assert cells[1].parameter_set == "grid[max-num-seqs=64,no-enable-prefix-caching]"
    first = cells[0].origins[1]
    assert first is not None
    assert (first.line, first.column) == (7, 12)


def test_group_name_matches_every_set_expanded_from_it(load: Load) -> None:
    config = load(
        "model: m/m\nengine-version: '0.15.1'\ngpu-type: a\nmatrix:\n  gpu-count: [1, 2]\n  parameters:\n"
        "    base: []\n    grid: {max-num-seqs: [64, 256]}\n  exclude: [{gpu-count: 2, parameters: grid}]\n"
    )
    assert [(cell.gpu_count, cell.parameter_set) for cell in expand(config)] == [
        (1, "base"),
        (1, "grid[max-num-seqs=64]"),
        (1, "grid[max-num-seqs=256]"),
        (2, "base"),
    ]


def test_unnamed_sets_are_named_by_their_values(load: Load) -> None:
    config = load(
        "model: m/m\nengine-version: '0.15.1'\ngpu-type: a\nmatrix:\n  parameters:\n"
        "    - [--max-num-seqs=8]\n    - {max-num-seqs: [64, 256]}\n    - []\n"
    )
    names = [cell.parameter_set for cell in expand(config)]
    assert names == ["--max-num-seqs=8", "max-num-seqs=64", "max-num-seqs=256", "default"]


def test_cell_ids_survive_reordering_of_the_file(load: Load) -> None:
    one = load("model: m/m\nmatrix: {gpu-type: [a, b], engine-version: ['1', '2']}\n")
    other = load("matrix: {engine-version: ['2', '1'], gpu-type: [b, a]}\nmodel: m/m\n")
    ids = {cell.id for cell in expand(one)}
    assert len(ids) == 4
    assert ids == {cell.id for cell in expand(other)}


def test_included_combination_without_a_type_is_a_clear_error(load: Load) -> None:
    config = load(
        "model: m/m\nengine-version: '1'\nmatrix: {gpu-type: [a], gpu-count: [1]}\n"
        "exclude: [{gpu-count: 1}]\ninclude: [{gpu-count: 1}]\n"
    )
    with pytest.raises(ConfigError, match=r"\{gpu-count: 1, .*\} has no gpu-type"):
        list(expand(config))


def test_no_axes_and_no_include_is_one_cell(load: Load) -> None:
    cells = list(expand(load("model: m/m\ngpu-type: a\nengine-version: '0.15.1'\n")))
    assert [(cell.gpu_count, cell.replicas, cell.parameters) for cell in cells] == [(1, 1, ())]


def test_hundred_thousand_cells_are_streamed(load: Load) -> None:
    values = ", ".join(str(number) for number in range(1, 3126))
    config = load(
        f"model: m/m\nmatrix:\n  gpu-type: [a, b, c, d]\n  gpu-count: [1, 2, 4, 8]\n  engine-version: ['1', '2']\n"
        f"  parameters: {{grid: {{max-num-seqs: [{values}]}}}}\n"
    )
    assert count(config) == 100_000
    assert sum(1 for _ in expand(config)) == 100_000
    peaks = []
    for cells in (2_000, 20_000):
        tracemalloc.start()
        assert sum(1 for _ in itertools.islice(expand(config), cells)) == cells
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (4 << 20), "memory grows with the number of cells"


VALUES = st.sampled_from(["a", "b", "c"])
PARTIAL = st.dictionaries(st.sampled_from(["gpu-type", "engine-version", "model"]), VALUES, min_size=1)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    axes=st.dictionaries(
        st.sampled_from(["gpu-type", "engine-version"]), st.lists(VALUES, unique=True, min_size=1)
    ),
    exclude=st.lists(PARTIAL, max_size=3),
    include=st.lists(PARTIAL, max_size=4),
)
def test_expansion_agrees_with_the_rules_read_literally(
    axes: dict[str, list[str]], exclude: list[dict[str, str]], include: list[dict[str, str]]
) -> None:
    """GitHub's documented rules, followed word by word on lists that fit in memory."""
    originals = (
        [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())] if axes else []
    )
    originals = [one for one in originals if not any(entry.items() <= one.items() for entry in exclude)]
    made = [dict(one) for one in originals]
    added: list[dict[str, str]] = []
    for entry in include:
        fitting = [
            index
            for index, one in enumerate(originals)
            if all(one.get(key, value) == value for key, value in entry.items())
        ]
        for index in fitting:
            made[index] = {**made[index], **entry}
        if not fitting and entry not in added:
            added.append(dict(entry))
    expected = made + added if axes or include else [{}]
    matrix = Matrix({name: tuple(values) for name, values in axes.items()}, tuple(exclude), tuple(include))
    assert [dict(one) for one in combinations(matrix)] == [{**DEFAULTS, **one} for one in expected]
