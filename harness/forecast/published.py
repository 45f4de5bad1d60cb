"""Published measurements as loads to forecast, and which of them the constants were fitted on. Pure.

Fitted on: the 1024-token-prompt rows of the first source with 2 and 8 GPUs and outputs of 128 or 1024 tokens, the
single-stream short rows on A100-80 and A6000, and one long and one short burst on A100-80. Everything else is held
out. Where a source does not say how lengths varied within a closed loop, outputs vary by 20 % either way: with all
alike, every request would march in lockstep, which no real client does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from harness.forecast.cell import forecast_cell
from harness.forecast.level import LevelForecast
from harness.forecast.load import Arrivals, Load
from harness.forecast.settings import EngineSettings
from harness.forecast.step import Constants
from harness.forecast.tables import gpu, model, rows

CLOSED_LOOP_SPREAD = 0.2
_ARRIVALS = {"closed-loop": Arrivals.CLOSED, "burst": Arrivals.BURST, "poisson": Arrivals.POISSON}
_FIRST_SOURCE = "aiconfigurator"
_FITTED_IDS = (
    "a100-80 llama-8b single 256/346",
    "a6000 llama-8b single (V0)",
    "a100-80 qwen3-14b burst 500x3996/200",
    "a100-80 qwen3-32b burst 500x1996/100",
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One published figure: ``metric`` names it, ``value`` is in seconds or per second."""

    id: str
    source: str
    gpu: str
    model: str
    settings: EngineSettings
    load: Load
    metric: str
    value: float

    @property
    def is_fitted(self) -> bool:
        """True when the constants were fitted on it."""
        if self.metric.startswith("ttft"):
            return False
        if self.source.startswith(_FIRST_SOURCE):
            return self.settings.tensor_parallel in (2, 8) and self.load.output_tokens in (128, 1024)
        return self.id in _FITTED_IDS

    @property
    def is_ttft(self) -> bool:
        """True for a time to first token; the rest are speeds."""
        return self.metric.startswith("ttft")

    @property
    def cell(self) -> tuple[object, ...]:
        """What has to be simulated for it; several figures may share one."""
        return (self.gpu, self.model, self.settings, self.load)


def measurements() -> list[Measurement]:
    """Every row of the packaged table."""
    return [_measurement(row) for row in rows("published-measurements.csv")]


def _measurement(row: Mapping[str, str]) -> Measurement:
    settings = EngineSettings(
        engine_version=row["engine_version"],
        tensor_parallel=int(row["tensor_parallel"]),
        max_model_len=int(row["max_model_len"]) if row["max_model_len"] else None,
        max_num_seqs=int(row["max_num_seqs"]) if row["max_num_seqs"] else None,
        gpu_memory_utilization=float(row["gpu_memory_utilization"]),
        kv_cache_dtype=row["kv_cache_dtype"],
        quantization=None if row["quantization"] == "none" else row["quantization"],
    )
    arrivals = _ARRIVALS[row["arrival"]]
    level = row["concurrency"] or row["rate_per_s"] or "0"
    load = Load(
        arrivals=arrivals,
        level=float(level),
        input_tokens=float(row["input_mean"]),
        output_tokens=float(row["output_mean"]),
        requests=int(row["requests"]) if row["requests"] else None,
        input_sigma=float(row["input_sigma_log"] or 0),
        output_sigma=float(row["output_sigma_log"] or 0),
        output_spread=CLOSED_LOOP_SPREAD if arrivals is Arrivals.CLOSED else 0.0,
        output_cap=int(row["output_cap"]) if row["output_cap"] else None,
    )
    unit = 1e-3 if row["unit"] == "ms" else 1.0
    return Measurement(
        id=row["id"],
        source=row["source"],
        gpu=row["gpu"],
        model=row["model"],
        settings=settings,
        load=load,
        metric=row["metric"],
        value=float(row["value"]) * unit,
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published figure and the forecast of it; ``predicted`` None when the cell could not start."""

    measurement: Measurement
    predicted: float | None

    @property
    def error(self) -> float | None:
        """Relative error, positive when the forecast is higher."""
        return None if self.predicted is None else self.predicted / self.measurement.value - 1


def compare(found: list[Measurement], constants: Constants | None = None) -> Iterator[Comparison]:
    """Forecast each measurement, each cell once."""
    levels: dict[tuple[object, ...], LevelForecast | None] = {}
    for measurement in found:
        if measurement.cell not in levels:
            levels[measurement.cell] = _forecast(measurement, constants)
        level = levels[measurement.cell]
        yield Comparison(measurement, None if level is None else _metric(level, measurement.metric))


def _forecast(measurement: Measurement, constants: Constants | None) -> LevelForecast | None:
    card, facts = gpu(measurement.gpu), model(measurement.model)
    if card is None or facts is None:
        return None
    settings = measurement.settings
    if settings.max_model_len is None:
        # Unstated lengths: what the load needs, so that the start-up check does not decide.
        settings = replace(settings, max_model_len=min(facts.max_position, 8192))
    found = forecast_cell(
        facts,
        card,
        settings,
        gpu_count=settings.tensor_parallel,
        loads=(measurement.load,),
        constants=constants,
    )
    return found.levels[0] if found.levels else None


def _metric(level: LevelForecast, metric: str) -> float | None:
    figures = {
        "ttft_mean": level.ttft_s.mean,
        "ttft_p50": level.ttft_s.p50,
        "tpot_mean": level.tpot_s.mean,
        "tpot_p50": level.tpot_s.p50,
        "output_throughput": level.output_throughput,
        "total_throughput": level.total_throughput,
    }
    return figures[metric]
