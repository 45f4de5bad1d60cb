"""An empty API key after the platform's own one lets anybody in.

vLLM reads an empty text and ``None`` as "no key", the last value wins, and a deployment without a key answers every
request.

Wrong::

    --api-key ''

Right::

    --enable-prefix-caching
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.rules.managed_flag import removal, turns_off

CODE = "authentication-off"
STAGE = Stage.PLATFORM
SEVERITY = Severity.ERROR
FLAGS = ("api-key",)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding for a key that is null."""
    argument = context.last("api-key")
    if argument is not None and argument.valid and turns_off(argument):
        message = "an empty API key turns authentication off: everybody can use the deployment"
        yield context.error(CODE, argument.value_span, message, fix=removal(argument))
