"""Findings as a GitLab Code Quality report."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from harness.diagnostics import Severity
from harness.plan.report import LintReport

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}


def render(report: LintReport, *, color: bool, fail_on: Severity) -> str:
    """A JSON list. Fingerprints do not depend on line numbers, so that a moved finding stays the same one."""
    del color, fail_on
    entries: list[dict[str, Any]] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for file in report.files:
        for finding in file.findings:
            diagnostic = finding.diagnostic
            identity = (file.path, diagnostic.code, diagnostic.message)
            seen[identity] += 1
            fingerprint = hashlib.sha256("\0".join((*identity, str(seen[identity]))).encode()).hexdigest()
            entries.append(
                {
                    "description": diagnostic.message,
                    "check_name": diagnostic.code,
                    "fingerprint": fingerprint,
                    "severity": _SEVERITIES[diagnostic.severity],
                    "location": {
                        "path": file.path,
                        "lines": {"begin": diagnostic.location.line if diagnostic.location else 1},
                    },
                }
            )
    return json.dumps(entries, ensure_ascii=False, indent=2)
