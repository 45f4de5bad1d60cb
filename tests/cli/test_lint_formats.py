"""The machine formats, against what their consumers require and against a report made by hand."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import jsonschema
import pytest

from harness.cli.formats import NAMES, render_report
from harness.diagnostics import Diagnostic, Edit, Location, Severity, Stage
from harness.params.rules import RULES
from harness.plan.codes import FILE_CODES
from harness.plan.fixes import Replacement
from harness.plan.report import FileReport, Finding, LintReport, Silenced
from harness.plan.spans import Source

TEXT = "- --a: 1,\n- --b\n"
PATH = "dir/a file,x.yaml"
SILENCED = Silenced(
    Diagnostic(
        "gpu-memory", Severity.ERROR, Stage.STARTUP, "too long", location=Location("clean.yaml", 1, 1, 1, 2)
    ),
    "on purpose",
)


def report() -> LintReport:
    source = Source.of(PATH, TEXT)
    error = Diagnostic(
        "unknown-flag",
        Severity.ERROR,
        Stage.PARSE,
        "no 100 % 'flag':\nnone\x07",
        index=0,
        location=Location(PATH, 1, 3, 1, 6),
        note="a note",
        hint="a hint",
        cells=("c1", "c2"),
        fix=Edit(0, 1, ("--c",), "write --c"),
    )
    warning = Diagnostic(
        "own-code", Severity.WARNING, Stage.STYLE, "odd", location=Location(PATH, 2, 3, 2, 6)
    )
    unread = Diagnostic("config-unreadable", Severity.ERROR, Stage.STYLE, "cannot read 'z'")
    return LintReport(
        (
            FileReport(
                PATH, (Finding(error, (Replacement(2, 9, "--c"),)), Finding(warning)), source, lists=1
            ),
            FileReport("clean.yaml", (), Source.of("clean.yaml", ""), lists=2, silenced=(SILENCED,)),
            FileReport("z", (Finding(unread),), is_usable=False),
        )
    )


def rendered(name: str, fail_on: Severity = Severity.ERROR) -> str:
    return render_report(report(), name, color=False, fail_on=fail_on)


# The constraints of the SARIF 2.1.0 schema on the parts written here; like there, nothing else is allowed.
def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


ONE = {"type": "integer", "minimum": 1}
TEXT_TYPE = {"type": "string"}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
BAG = {"type": "object"}
MESSAGE = closed(["text"], text=TEXT_TYPE, markdown=TEXT_TYPE)
REGION = closed(["startLine"], startLine=ONE, startColumn=ONE, endLine=ONE, endColumn=ONE)
ARTIFACT = closed([], uri={"type": "string", "format": "uri-reference", "pattern": "^[^ ]*$"})
CONTENT = closed([], text=TEXT_TYPE)
REPLACEMENT = closed(["deletedRegion"], deletedRegion=REGION, insertedContent=CONTENT)
CHANGE = closed(
    ["artifactLocation", "replacements"],
    artifactLocation=ARTIFACT,
    replacements={"type": "array", "minItems": 1, "items": REPLACEMENT},
)
FIX = closed(
    ["artifactChanges"],
    description=MESSAGE,
    artifactChanges={"type": "array", "minItems": 1, "uniqueItems": True, "items": CHANGE},
)
RULE = closed(
    ["id"],
    id=TEXT_TYPE,
    shortDescription=MESSAGE,
    fullDescription=MESSAGE,
    help=MESSAGE,
    defaultConfiguration=closed([], level=LEVEL),
    properties=BAG,
)
PLACE = closed([], physicalLocation=closed([], artifactLocation=ARTIFACT, region=REGION))
RESULT = closed(
    ["message"],
    ruleId=TEXT_TYPE,
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    message=MESSAGE,
    locations={"type": "array", "items": PLACE},
    fixes={"type": "array", "uniqueItems": True, "items": FIX},
    properties=BAG,
)
DRIVER = closed(
    ["name"], name=TEXT_TYPE, version=TEXT_TYPE, rules={"type": "array", "uniqueItems": True, "items": RULE}
)
RUN = closed(
    ["tool"],
    tool=closed(["driver"], driver=DRIVER),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results={"type": "array", "items": RESULT},
)
SARIF = closed(
    ["version", "runs"],
    **{"$schema": TEXT_TYPE, "version": {"enum": ["2.1.0"]}, "runs": {"type": "array", "items": RUN}},
)


def test_sarif_keeps_to_the_schema_and_declares_every_rule() -> None:
    document = json.loads(rendered("sarif"))
    jsonschema.validate(document, SARIF)
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    codes = [rule["id"] for rule in rules]
    assert len(codes) == len(set(codes))
    assert {rule.CODE for rule in RULES} | set(FILE_CODES) <= set(codes)
    assert len(run["results"]) == 3
    assert all(codes[result["ruleIndex"]] == result["ruleId"] for result in run["results"])


def test_sarif_carries_the_fix_and_the_cells() -> None:
    first = json.loads(rendered("sarif"))["runs"][0]["results"][0]
    assert first["properties"] == {"cells": ["c1", "c2"]}
    ((fix,),) = (first["fixes"],)
    assert fix["description"] == {"text": "write --c"}
    (change,) = fix["artifactChanges"]
    assert change["artifactLocation"] == {"uri": "dir/a%20file%2Cx.yaml"}
    assert change["replacements"] == [
        {
            "deletedRegion": {"startLine": 1, "startColumn": 3, "endLine": 1, "endColumn": 10},
            "insertedContent": {"text": "--c"},
        }
    ]


def test_github_escapes_what_would_end_a_property_or_the_message() -> None:
    assert rendered("github").split("\n") == [
        "::error file=dir/a file%2Cx.yaml,line=1,col=3,endLine=1,endColumn=5,title=unknown-flag::"
        "no 100 %25 'flag':%0Anone\x07, a note, a hint",
        "::warning file=dir/a file%2Cx.yaml,line=2,col=3,endLine=2,endColumn=5,title=own-code::odd",
        "::error file=z,title=config-unreadable::cannot read 'z'",
    ]


def test_gitlab_has_the_keys_that_code_quality_needs() -> None:
    entries = json.loads(rendered("gitlab"))
    assert [(one["check_name"], one["severity"], one["location"]) for one in entries] == [
        ("unknown-flag", "major", {"path": PATH, "lines": {"begin": 1}}),
        ("own-code", "minor", {"path": PATH, "lines": {"begin": 2}}),
        ("config-unreadable", "major", {"path": "z", "lines": {"begin": 1}}),
    ]
    assert len({one["fingerprint"] for one in entries}) == 3


@pytest.mark.parametrize(("fail_on", "failures"), [(Severity.ERROR, 2), (Severity.WARNING, 3)])
def test_junit_fails_what_the_command_fails(fail_on: Severity, failures: int) -> None:
    root = ET.fromstring(rendered("junit", fail_on))
    assert (root.get("tests"), root.get("failures")) == ("4", str(failures))
    assert [suite.get("name") for suite in root] == [PATH, "clean.yaml", "z"]
    assert len(root.findall(".//failure")) == failures


def test_json_has_places_severities_and_edits() -> None:
    document = json.loads(rendered("json"))
    assert document["summary"] == {"errors": 2, "warnings": 1, "infos": 0, "suppressed": 1}
    assert [file["usable"] for file in document["files"]] == [True, True, False]
    first = document["diagnostics"][0]
    assert (first["path"], first["line"], first["column"], first["end_column"]) == (PATH, 1, 3, 6)
    assert first["fix"] == {"description": "write --c", "edits": [{"start": 2, "end": 9, "text": "--c"}]}
    assert document["diagnostics"][2]["line"] is None


@pytest.mark.parametrize("name", NAMES)
def test_nothing_found_is_a_valid_document(name: str) -> None:
    text = render_report(LintReport(()), name, color=False, fail_on=Severity.ERROR)
    if name in ("json", "sarif", "gitlab"):
        json.loads(text)
    elif name == "junit":
        ET.fromstring(text)
    else:
        assert text == ""


def test_every_code_this_room_uses_is_described() -> None:
    import re
    from pathlib import Path

    import harness.plan

    found: set[str] = set()
    for path in Path(harness.plan.__path__[0]).glob("*.py"):
        text = path.read_text()
        found |= {f"config-{code}" for code in re.findall(r"\.(?:error|warning)\(\s*\"([a-z-]+)\"", text)}
        found |= set(re.findall(r"\"((?:config|suppression)-[a-z-]+)\"", text))
    assert len(found) > 10
    assert found <= set(FILE_CODES)
