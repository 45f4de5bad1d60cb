"""What the simulated zone checks before it begins anything: the model, the GPUs, the names of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.simulator.bodies import CreateRequest
from harness.simulator.faults import Fault, FaultPlan
from harness.simulator.inventory import LARGEST_GPU_COUNT, Inventory
from harness.simulator.judge import Judge
from harness.simulator.records import ModelRecord
from harness.simulator.refusal import Refusal, not_found


class Admission:
    """The checks of one zone. Each raises Refusal and changes nothing."""

    def __init__(self, inventory: Inventory, judges: Mapping[str, Judge], faults: FaultPlan) -> None:
        self._inventory = inventory
        self._judges = judges
        self._faults = faults

    def check_create(self, request: CreateRequest, models: Iterable[ModelRecord]) -> ModelRecord:
        """The model to deploy, once family, count, model, parameters, quota and capacity all hold."""
        if request.gpu_type not in self._inventory.families or request.gpu_count > LARGEST_GPU_COUNT:
            raise Refusal(400, "GPU type must be valid and count must be between 1 and 8.")
        model = _find_model(request, models)
        self.check_names(request.version, request.parameters)
        wanted = request.gpu_count * request.replicas
        self.check_gpus(request.gpu_type, wanted, operation="create-deployment", name=request.name)
        return model

    def check_names(self, version: str, parameters: tuple[str, ...]) -> None:
        """400 naming every parameter that the engine version does not have."""
        unknown = self._judges[version].judge(parameters).unknown
        if unknown:
            raise Refusal(
                400,
                "One or more vLLM parameters are invalid.",
                errors=[f"Parameter '{name}' is not allowed for vLLM {version}" for name in unknown],
            )

    def check_gpus(self, family: str, wanted: int, *, operation: str, name: str) -> None:
        """403 beyond the quota, 412 beyond what the zone has left."""
        if self._faults.draw(Fault.NO_CAPACITY, operation=operation, subjects=(name, family)):
            raise Refusal(412, f"Not enough {family} GPUs available.")
        if self._inventory.over_quota(family, wanted):
            quota = self._inventory.families[family].quota
            raise Refusal(403, f"The quota of {quota} {family} GPUs would be exceeded.")
        if self._inventory.free(family) < wanted:
            raise Refusal(412, f"Not enough {family} GPUs available.")


def _find_model(request: CreateRequest, models: Iterable[ModelRecord]) -> ModelRecord:
    for model in models:
        if request.model_id in (None, model.id) and request.model_name in (None, model.name):
            if model.state != "ready":
                raise Refusal(400, f"The referenced model is not ready, it is {model.state}.")
            return model
    raise not_found("The referenced model")
