"""The value is JSON, as the parser asks, but not of the shape the configuration takes.

Wrong::

    --override-generation-config 0.5

Right::

    --override-generation-config '{"temperature": 0.5}'
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.lenient import integer_of
from harness.params.settings import Settings

CODE = "structured-value"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
# Where null is refused like any other value that is no object.
OBJECTS = ("hf-overrides", "override-generation-config", "additional-config")
OBJECTS_OR_NULL = ("mm-processor-kwargs", "limit-mm-per-prompt", "media-io-kwargs")
NAMES = ("served-model-name", "allowed-media-domains", "logits-processors")
FLAGS = (*OBJECTS, *OBJECTS_OR_NULL, *NAMES, "default-mm-loras", "pt-load-map-location")


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per flag."""
    settings = Settings(context)
    for name in FLAGS:
        argument = settings.given(name)
        if argument is None or not argument.valid:
            continue
        if name == "default-mm-loras" and not settings.switch("enable-lora"):
            continue  # not looked at
        reason = refusal(name, argument.converted)
        if reason is not None:
            yield context.error(CODE, argument.value_span, f"--{name} {reason}")


def refusal(name: str, value: object) -> str | None:
    """What is wrong with the value, or None."""
    if name in NAMES:
        return "has an empty name" if isinstance(value, tuple | list) and None in value else None
    if value is None and name not in OBJECTS:
        return None
    if name == "pt-load-map-location" and isinstance(value, str):
        return None
    if not isinstance(value, Mapping):
        return "takes a JSON object"
    entries = list(value.values())
    if name in {"default-mm-loras", "pt-load-map-location"}:
        return None if all(isinstance(entry, str) for entry in entries) else "takes an object of texts"
    if name == "media-io-kwargs" and not all(isinstance(entry, Mapping) for entry in entries):
        return "takes one object per modality"
    if name == "limit-mm-per-prompt":
        return next((reason for entry in entries if (reason := limit_refusal(entry))), None)
    return None


def limit_refusal(entry: object) -> str | None:
    """A limit is a whole number or an object of whole numbers."""
    if isinstance(entry, Mapping):
        wrong = [item for item in entry.values() if integer_of(item) is None]
        return f"has {wrong[0]!r} where a whole number belongs" if wrong else None
    return None if integer_of(entry) is not None else f"has {entry!r} where a whole number belongs"
