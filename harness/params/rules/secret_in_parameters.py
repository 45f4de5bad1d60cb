"""A key or token stands in the parameters, where everybody who may look at the deployment can read it.

The value is never repeated in a finding.

Wrong::

    --hf-token hf_abcdefghijklmnopqrstuvwxyz012345

Right::

    --seed 1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.reading import Span
from harness.params.secrets import LOOKS_LIKE_A_KEY

CODE = "secret-in-parameters"
STAGE = Stage.PLATFORM
SEVERITY = Severity.WARNING


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per item that holds a secret."""
    told: set[int] = set()
    token = context.last("hf-token")
    if token is not None and token.values and token.value:
        told.add(token.value_span.index)
        message = "a Hugging Face token stands in the parameters"
        hint = "give it to the platform when the model is created"
        yield context.warning(CODE, token.value_span, message, hint=hint)
    for index, item in enumerate(context.parameters):
        found = LOOKS_LIKE_A_KEY.search(item) if len(item) >= 20 and index not in told else None
        if found is not None:
            span = Span(index, found.start(), found.end())
            yield context.warning(CODE, span, "this looks like a secret key or token")
