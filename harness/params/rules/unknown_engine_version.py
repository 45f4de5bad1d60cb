"""Nothing ships for this engine version; the nearest known one's knowledge stands in.

Flags are checked against the version's own help document where one was fetched (``harness params fetch``), else against
the nearest version's. Findings may be wrong where the versions differ.

Wrong::

    --max-num-seqs 64   # engine-version: 0.99.0

Right::

    --max-num-seqs 64   # engine-version: 0.15.1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context

CODE = "unknown-engine-version"
STAGE = Stage.STYLE
SEVERITY = Severity.INFO


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding about the list as a whole."""
    if not context.grammar.is_exact:
        message = (
            f"vLLM {context.version} is not known here; checked as vLLM {context.grammar.reference_version}"
        )
        yield context.info(CODE, None, message, hint=f"harness params fetch {context.version}")
