"""What could not be judged of a list, and why: a rule that stayed silent must not look like one that was content. Pure.

Start-up is judged of lists that the engine's parser accepts; memory where the GPUs and the model's shape are known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from harness.params.model_config import ModelConfig

STARTUP = "start-up and memory"
MEMORY = "memory"


class NotChecked(NamedTuple):
    """``what`` was not judged in ``lists`` lists of a file; ``reason`` is a clause, with what would help."""

    what: str
    reason: str
    lists: int = 1


REFUSED = NotChecked(STARTUP, "the engine's parser refuses the list first; mend that and lint again")


def unjudged_memory(
    *, gpu_type: str, gpu_count: int | None, model: str | None, config: ModelConfig | None
) -> str | None:
    """Why a deployment's memory cannot be judged; None when it can."""
    # Here, so that a list without a GPU is linted without loading the arithmetic.
    from harness.forecast.config_json import NotCovered
    from harness.forecast.tables import exoscale_gpus, gpu
    from harness.forecast.tables import model as facts_of

    if gpu_count is None:
        return "the number of GPUs is not given (gpu-count)"
    if gpu(gpu_type) is None:
        known = ", ".join(exoscale_gpus())
        return f"no figures of GPU '{gpu_type}'; there are some of {known}"
    if config is not None:
        return config.shape.reason if isinstance(config.shape, NotCovered) else None
    if model is None:
        return "the model's name is not given; --model-config FILE names its config.json"
    if facts_of(model) is None:
        return f"no figures of '{model}'; name its config.json (models: in a sweep file, else --model-config)"
    return None


def unjudged_without_gpu(model: str, config: ModelConfig | None) -> NotChecked:
    """That memory could not be judged of a list that names a model and no GPU; what is missing besides."""
    # Here, so that a list without a model is linted without loading the tables.
    from harness.forecast.tables import model as facts_of

    if config is None and facts_of(model) is None:
        reason = f"no figures of '{model}' (--model-config FILE names its config.json), no GPU (--gpu-type)"
        return NotChecked("memory and the model's limits", reason)
    return NotChecked(MEMORY, "the GPU family is not given (--gpu-type)")


def summed(found: Iterable[NotChecked]) -> tuple[NotChecked, ...]:
    """Each thing once, with the lists it holds for."""
    lists: dict[tuple[str, str], int] = {}
    for one in found:
        lists[one.what, one.reason] = lists.get((one.what, one.reason), 0) + one.lists
    return tuple(NotChecked(*key, count) for key, count in lists.items())
