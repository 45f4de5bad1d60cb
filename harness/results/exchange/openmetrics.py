"""The levels of a run as OpenMetrics text, under this tool's own definitions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

# column of the levels frame -> (metric, help); the unit is in the metric's name, as OpenMetrics wants it
OPENMETRICS: Mapping[str, tuple[str, str]] = {
    "output_throughput_tok_s": ("harness_output_tokens_per_second", "Output tokens that arrived per second"),
    "request_throughput_req_s": ("harness_requests_per_second", "Requests finished per second"),
    "goodput_req_s": ("harness_goodput_requests_per_second", "Requests per second that met the SLO"),
    "ttft_p50_s": ("harness_ttft_p50_seconds", "Time to first token, median"),
    "ttft_p95_s": ("harness_ttft_p95_seconds", "Time to first token, 95th percentile"),
    "tpot_p50_s": ("harness_tpot_p50_seconds", "Time per output token after the first, median"),
    "tpot_p95_s": ("harness_tpot_p95_seconds", "Time per output token after the first, 95th percentile"),
    "e2e_p95_s": ("harness_e2e_p95_seconds", "Request to last token, 95th percentile"),
    "requests_failed": ("harness_failed_requests", "Requests that failed"),
}
LABELS = (
    "cell_id", "label", "gpu_type", "gpu_count", "replicas", "engine_version", "parameter_set", "load", "level",
)  # fmt: skip


def openmetrics(levels: pd.DataFrame, *, name: str, simulated: bool) -> str:
    """The levels as OpenMetrics text, one gauge a figure, one sample a level; absent figures have no sample."""
    lines: list[str] = []
    common = {"sweep": name, "simulated": str(simulated).lower()}
    for column, (metric, words) in OPENMETRICS.items():
        if column not in levels or not levels[column].notna().any():
            continue
        unit = [f"# UNIT {metric} seconds"] if metric.endswith("_seconds") else []
        lines += [f"# TYPE {metric} gauge", *unit, f"# HELP {metric} {words}."]
        lines += list(_samples(levels, column, metric, common))
    return "\n".join([*lines, "# EOF", ""])


def _samples(levels: pd.DataFrame, column: str, metric: str, common: Mapping[str, str]) -> Iterable[str]:
    for _, level in levels[levels[column].notna()].iterrows():
        labels = {**common} | {key: str(level[key]) for key in LABELS}
        text = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
        yield f"{metric}{{{text}}} {float(level[column])!r}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
