"""Findings as SARIF 2.1.0, for code scanning: every rule declared, fixes carried as edits of the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from harness import __version__
from harness.diagnostics import Diagnostic, Location, Severity
from harness.params.rules import RULES
from harness.plan.codes import FILE_CODES
from harness.plan.report import FileReport, Finding, LintReport
from harness.plan.request_lengths import CODE as TOO_LONG
from harness.plan.spans import Source

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render(report: LintReport, *, color: bool, fail_on: Severity) -> str:
    """One run with all rules, found or not; columns count characters."""
    del color, fail_on
    rules = list(_rules())
    index = {rule["id"]: position for position, rule in enumerate(rules)}
    for finding in report.findings:
        if finding.diagnostic.code not in index:
            index[finding.diagnostic.code] = len(rules)
            rules.append({"id": finding.diagnostic.code})
    driver = {"name": "harness", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(file, finding, index) for file in report.files for finding in file.findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2)


def _rules() -> Iterator[dict[str, Any]]:
    for rule in RULES:
        page = (rule.__doc__ or rule.CODE).strip()
        yield {
            "id": rule.CODE,
            "shortDescription": {"text": " ".join(page.split("\n\n")[0].split())},
            "fullDescription": {"text": page},
            "help": {"text": page},
            "defaultConfiguration": {"level": _LEVELS[rule.SEVERITY]},
            "properties": {"stage": rule.STAGE.value},
        }
    for code, text in FILE_CODES.items():
        is_error = code.startswith("config-") and code not in ("config-no-effect", "config-long-warmup")
        level = "error" if is_error or code == TOO_LONG else "warning"
        yield {
            "id": code,
            "shortDescription": {"text": text},
            "defaultConfiguration": {"level": level},
            "properties": {"stage": "file"},
        }


def _result(file: FileReport, finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    diagnostic = finding.diagnostic
    artifact = {"uri": _uri(file.path)}
    place: dict[str, Any] = {"artifactLocation": artifact}
    if diagnostic.location is not None:
        place["region"] = _region(diagnostic.location)
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": index[diagnostic.code],
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": _text(diagnostic)},
        "locations": [{"physicalLocation": place}],
    }
    if diagnostic.cells:
        result["properties"] = {"cells": list(diagnostic.cells)}
    if finding.replacements and file.source is not None:
        result["fixes"] = [_fix(finding, artifact, file.source)]
    return result


def _fix(finding: Finding, artifact: dict[str, str], source: Source) -> dict[str, Any]:
    fix = finding.diagnostic.fix
    replacements = [
        {
            "deletedRegion": _region(source.location(one.start, one.end)),
            "insertedContent": {"text": one.text},
        }
        for one in finding.replacements
    ]
    description = fix.description if fix is not None else "mend it"
    return {
        "description": {"text": description},
        "artifactChanges": [{"artifactLocation": artifact, "replacements": replacements}],
    }


def _region(location: Location) -> dict[str, int]:
    return {
        "startLine": location.line,
        "startColumn": location.column,
        "endLine": location.end_line,
        "endColumn": location.end_column,
    }


def _uri(path: str) -> str:
    """A path as a relative reference; standard input and the command line keep a name of their own."""
    if path in ("-", "<args>"):
        return {"-": "stdin", "<args>": "args"}[path]
    return quote(path.replace("\\", "/"), safe="/")


def _text(diagnostic: Diagnostic) -> str:
    return "; ".join(part for part in (diagnostic.message, diagnostic.note, diagnostic.hint) if part)
