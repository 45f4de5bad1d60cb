"""What the packaged table knows of a model against an argument list, whatever GPU it runs on. Pure.

For lists that name a model and no ``config.json`` of it; the linter's rules judge the others, under the same names.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.forecast.models import ModelFacts
from harness.params.argv import read
from harness.params.context import at
from harness.params.engine_facts import load_engine_facts
from harness.params.lint import knowledge_of
from harness.params.reading import Reading
from harness.params.rules import heads_not_divisible, quantization_not_in_checkpoint, sequence_length


def model_findings(model: ModelFacts, parameters: tuple[str, ...], version: str) -> Iterator[Diagnostic]:
    """One finding for each limit of the model that the list passes; none where it changes the model."""
    knowledge = knowledge_of(version)
    reading = read(parameters, knowledge.grammar)
    if reading.has_other_config:
        return
    asked, limit = reading.values.get("max-model-len"), model.max_position
    if type(asked) is int and asked > limit:
        told = sequence_length.told(asked, limit, "max_position_embeddings")
        yield found(reading, "max-model-len", sequence_length.CODE, *told)
    size = reading.values.get("tensor-parallel-size")
    if type(size) is int and size > 0 and model.heads % size:
        told = heads_not_divisible.told(model.heads, size)
        yield found(reading, "tensor-parallel-size", heads_not_divisible.CODE, *told)
    wanted = reading.values.get("quantization")
    if isinstance(wanted, str) and model.quantization is None:
        method = load_engine_facts(knowledge.grammar.reference_version).quantization.get(wanted.lower())
        if method is not None and not method.bare and not method.deprecated:
            # A warning: the table goes by the model's name, and somebody's copy may be quantized.
            told = quantization_not_in_checkpoint.told(method.name, model.name)
            code = quantization_not_in_checkpoint.CODE
            yield found(reading, "quantization", code, *told, severity=Severity.WARNING)


def found(
    reading: Reading, name: str, code: str, message: str, hint: str, *, severity: Severity = Severity.ERROR
) -> Diagnostic:
    """A finding at the value that decides parameter ``name``."""
    return at(reading.deciding[name].value_span, code, severity, Stage.STARTUP, message, hint=hint)
