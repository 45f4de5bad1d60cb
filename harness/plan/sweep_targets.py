"""The parameter lists of a sweep: one for all cells that agree in the list, the version and the GPUs. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.plan.config import AxisValue, SweepConfig
from harness.plan.matrix import NEEDED, Combination, combinations, set_of
from harness.plan.request_lengths import longest_requests
from harness.plan.targets import Target

Key = tuple[AxisValue, ...]


def targets_in_sweep(config: SweepConfig) -> Iterator[Target]:
    """What to lint for every cell of a sweep; cells without a type, version or model are left out.

    Cells are named ``gpua5000×2 0.15.1 wide``, as in the tables of a run.
    """
    matrix = config.matrix
    requests = longest_requests(config.workload)
    groups: dict[Key, tuple[Combination, list[str]]] = {}
    for combination in combinations(matrix):
        if any(name not in combination for name in NEEDED):
            continue
        key = tuple(
            str(combination.get(name, "")) for name in ("parameters", *NEEDED, "gpu-count", "replicas")
        )
        held = groups.setdefault(key, (combination, []))
        held[1].append(cell_label(combination, set_of(matrix, combination).name))
    for combination, cells in groups.values():
        chosen = set_of(matrix, combination)
        model = str(combination["model"])
        yield Target(
            source=config.source,
            items=(*matrix.common, *chosen.items),
            place=chosen.place or matrix.place,
            engine_version=str(combination["engine-version"]),
            gpu_type=str(combination["gpu-type"]),
            gpu_place=matrix.gpu_places.get(str(combination["gpu-type"])),
            gpu_count=int(combination["gpu-count"]),
            replicas=int(combination["replicas"]),
            model=model,
            model_config=config.models.get(model),
            cells=tuple(cells),
            requests=requests,
        )


def cell_label(combination: Combination, set_name: str) -> str:
    """A cell's short name, the same as ``Cell.label``."""
    replicas = f" r{combination['replicas']}" if combination["replicas"] != 1 else ""
    gpus = f"{combination['gpu-type']}×{combination['gpu-count']}"
    return f"{gpus}{replicas} {combination['engine-version']} {set_name}"
