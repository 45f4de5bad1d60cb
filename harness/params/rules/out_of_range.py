"""A number is outside what vLLM's configuration accepts.

Wrong::

    --gpu-memory-utilization 90

Right::

    --gpu-memory-utilization 0.9
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.derivation import architecture, model
from harness.params.reading import Argument
from harness.params.settings import Settings

CODE = "out-of-range"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR


class Range(NamedTuple):
    """Allowed values: above or from ``low``, up to or below ``high``; ``when`` names what must be on for the check."""

    low: float
    low_open: bool = False
    high: float | None = None
    high_open: bool = False
    when: str | None = None

    def holds(self, value: float) -> bool:
        """True for a value inside; NaN is in no range."""
        above = value > self.low if self.low_open else value >= self.low
        if self.high is None:
            return above
        return above and (value < self.high if self.high_open else value <= self.high)

    def __str__(self) -> str:
        low = f"above {self.low:g}" if self.low_open else f"at least {self.low:g}"
        if self.high is None:
            return low
        return f"{low} and {'below' if self.high_open else 'at most'} {self.high:g}"


RANGES = {
    "gpu-memory-utilization": Range(0, low_open=True, high=1),
    "swap-space": Range(0),
    "cpu-offload-gb": Range(0),
    "mamba-block-size": Range(0, low_open=True),
    "kv-cache-metrics-sample": Range(0, low_open=True, high=1),
    "stream-interval": Range(1),
    "max-num-seqs": Range(1),
    "max-num-batched-tokens": Range(1),
    "max-loras": Range(1, when="enable-lora"),
    "mm-processor-cache-gb": Range(0, when="multimodal"),
    "mm-shm-cache-max-object-size-mb": Range(0, when="multimodal"),
    "video-pruning-rate": Range(0, high=1, high_open=True, when="multimodal"),
}
FLAGS = tuple(RANGES)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per number outside its range."""
    settings = Settings(context)
    for name, allowed in RANGES.items():
        argument = settings.given(name)
        if argument is None:
            continue
        value = settings.number(name)
        if value is None or allowed.holds(value) or not applies(settings, allowed):
            continue
        message = f"--{name} is {allowed}, not {argument.value}"
        yield context.error(CODE, argument.value_span, message, fix=percent(argument, value))


def applies(settings: Settings, allowed: Range) -> bool:
    """Whether the engine looks at the value at all."""
    if allowed.when is None:
        return True
    if allowed.when == "multimodal":
        known = model(settings)
        found = None if known is None else architecture(settings, known)
        return found is not None and found.multimodal
    return settings.switch(allowed.when) is True


def percent(argument: Argument, value: float) -> Edit | None:
    """A share of GPU memory given in percent, as the fraction it means."""
    if argument.name != "gpu-memory-utilization" or not 2 <= value <= 100:
        return None
    span = argument.value_span
    written = f"{value / 100:g}"
    if span.index != argument.index:
        return Edit(span.index, span.index + 1, (written,), f"write {written}")
    return Edit(span.index, span.index + 1, (f"{argument.flag_text}={written}",), f"write {written}")
