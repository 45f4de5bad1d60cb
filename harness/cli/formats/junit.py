"""Findings as JUnit XML: one suite a file, one case a finding; what does not fail the run is a passed case."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from harness.diagnostics import Diagnostic, Severity
from harness.plan.report import FileReport, LintReport

# XML 1.0 has no way to write these.
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: LintReport, *, color: bool, fail_on: Severity) -> str:
    """The document, declared as UTF-8."""
    del color
    root = ET.Element("testsuites", name="harness lint")
    for file in report.files:
        root.append(_suite(file, fail_on))
    for name in ("tests", "failures"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")


def _suite(file: FileReport, fail_on: Severity) -> ET.Element:
    path = clean(file.path)
    suite = ET.Element("testsuite", name=path)
    failures = 0
    for finding in file.findings:
        case = ET.SubElement(suite, "testcase", classname=path, name=clean(_title(finding.diagnostic)))
        text = _text(finding.diagnostic)
        if fails(finding.diagnostic, fail_on):
            failures += 1
            failure = ET.SubElement(
                case, "failure", message=clean(finding.diagnostic.message), type=finding.diagnostic.code
            )
            failure.text = clean(text)
        else:
            ET.SubElement(case, "system-out").text = clean(text)
    if not file.findings:
        ET.SubElement(suite, "testcase", classname=path, name="no findings")
    suite.set("tests", str(max(1, len(file.findings))))
    suite.set("failures", str(failures))
    return suite


def fails(diagnostic: Diagnostic, fail_on: Severity) -> bool:
    """True when the finding makes the command end with 1."""
    order = (Severity.INFO, Severity.WARNING, Severity.ERROR)
    return order.index(diagnostic.severity) >= order.index(fail_on)


def clean(text: str) -> str:
    """``text`` without the characters that XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _title(diagnostic: Diagnostic) -> str:
    location = diagnostic.location
    place = f"{location.line}:{location.column} " if location is not None else ""
    return f"{place}{diagnostic.code}"


def _text(diagnostic: Diagnostic) -> str:
    parts = (f"{diagnostic.severity}: {diagnostic.message}", diagnostic.note, diagnostic.hint)
    return "\n".join(part for part in parts if part)
