"""Nothing ships for this engine version; the nearest known one's knowledge stands in.

Flags are checked against the version's own help document where one was fetched (``harness params fetch``), else against
the nearest version's. Findings may be wrong where the versions differ.

The API has a list of versions, spelled as ``0.15.1``, and refuses what is not on it, as ``v0.15.1`` or ``latest``.

Wrong::

    --max-num-seqs 64   # engine-version: 0.99.0

Right::

    --max-num-seqs 64   # engine-version: 0.15.1
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.snapshots import known_versions
from harness.params.versions import is_version, spelled_out, what_is_known

CODE = "unknown-engine-version"
STAGE = Stage.STYLE
SEVERITY = Severity.INFO


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding about the list as a whole."""
    if context.grammar.is_exact:
        return
    written, known = context.version, known_versions()
    hint, checked = what_is_known(written, known), f"checked as vLLM {context.grammar.reference_version}"
    if is_version(written) and spelled_out(written, known) == written:
        yield context.info(CODE, None, f"vLLM {written} is not known here; {checked}", hint=hint)
    else:
        message = f"the API knows no vLLM version {written}; {checked}"
        yield context.warning(CODE, None, message, hint=hint)
