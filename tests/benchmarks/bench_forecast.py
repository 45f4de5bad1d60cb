"""A sweep of 200 cells, 600 requests each, forecast on one core."""

from __future__ import annotations

import itertools
import time

from harness.forecast.cell import forecast_cell
from harness.forecast.known import KnownLevels
from harness.forecast.load import Arrivals, Load
from harness.forecast.settings import EngineSettings
from harness.forecast.tables import gpu, model

FAMILIES = ("gpu3080ti", "gpua5000", "gpu3", "gpurtx6000pro")
COUNTS = (1, 2, 4)
MODELS = ("llama3-8b", "qwen2.5-7b", "qwen3-14b")
SEQUENCES = (32, 256)
FORMATS = (None, "fp8", "awq")


def main() -> None:
    """Run it and print one line per figure."""
    load = Load(Arrivals.POISSON, 2.0, 800, 250, requests=600, input_sigma=0.4, output_sigma=0.4)
    cells = list(itertools.product(FAMILIES, COUNTS, MODELS, SEQUENCES, FORMATS))[:200]
    assert len(cells) == 200
    known = KnownLevels()
    started = time.process_time()
    refused = 0
    for family, count, name, sequences, method in cells:
        card, facts = gpu(family), model(name)
        assert card is not None
        assert facts is not None
        settings = EngineSettings(
            tensor_parallel=count, max_model_len=8192, max_num_seqs=sequences, quantization=method
        )
        found = forecast_cell(facts, card, settings, gpu_count=count, loads=(load,), known=known)
        refused += not found.starts
    seconds = time.process_time() - started
    print(
        f"forecast: 200 cells of 600 requests, {refused} refused, {len(known)} run (the others as one of these): "
        f"{seconds:.2f} s CPU (bar: 5 s)"
    )


if __name__ == "__main__":
    main()
