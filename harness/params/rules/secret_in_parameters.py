"""A key or token stands in the parameters, where everybody who may look at the deployment can read it.

The value is never repeated in a finding.

Wrong::

    --hf-token hf_abcdefghijklmnopqrstuvwxyz012345

Right::

    --seed 1
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.reading import Span

CODE = "secret-in-parameters"
STAGE = Stage.PLATFORM
SEVERITY = Severity.WARNING
LOOKS_LIKE_A_KEY = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|EXO[a-f0-9]{24,}|ghp_[A-Za-z0-9]{30,}|AKIA[A-Z0-9]{16}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.)"
)


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
