"""Findings as one JSON document. Keys are added, never renamed."""

from __future__ import annotations

import json
from typing import Any

from harness.diagnostics import Severity
from harness.plan.report import FileReport, Finding, LintReport

SCHEMA_VERSION = 1


def render(report: LintReport, *, color: bool, fail_on: Severity) -> str:
    """One object; its places are lines and columns from 1, end exclusive. ``suppressed`` has what comments silence."""
    del color
    document = {
        "schema_version": SCHEMA_VERSION,
        "ok": report.exit_code(fail_on=fail_on) == 0,
        "summary": {
            **{f"{severity}s": report.count(severity) for severity in Severity},
            "suppressed": sum(len(file.silenced) for file in report.files),
        },
        "files": [file_entry(file) for file in report.files],
        "diagnostics": [entry(file, finding) for file in report.files for finding in file.findings],
        "suppressed": [
            {**entry(file, Finding(one.diagnostic)), "reason": one.reason}
            for file in report.files
            for one in file.silenced
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def file_entry(file: FileReport) -> dict[str, Any]:
    """One file of the run."""
    return {
        "path": file.path,
        "usable": file.is_usable,
        "lists": file.lists,
        "cells": file.cells,
        "findings": len(file.findings),
        "suppressed": len(file.silenced),
        "not_checked": [one._asdict() for one in file.not_checked],
    }


def entry(file: FileReport, finding: Finding) -> dict[str, Any]:
    """One finding; absent values are null. ``fix`` holds edits of the file as character offsets."""
    diagnostic = finding.diagnostic
    location = diagnostic.location
    edits = [{"start": one.start, "end": one.end, "text": one.text} for one in finding.replacements]
    description = diagnostic.fix.description if diagnostic.fix is not None else None
    return {
        "path": file.path,
        "line": location.line if location else None,
        "column": location.column if location else None,
        "end_line": location.end_line if location else None,
        "end_column": location.end_column if location else None,
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "stage": diagnostic.stage.value,
        "message": diagnostic.message,
        "note": diagnostic.note,
        "hint": diagnostic.hint,
        "cells": list(diagnostic.cells),
        "fix": {"description": description, "edits": edits} if edits else None,
    }
