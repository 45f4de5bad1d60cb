"""Characters are found again where they stand: each case marks them by hand with ``<`` and ``>``.

The markers are taken out before the text is parsed; what stood between them must be where ``find`` points.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.plan.findings import Findings
from harness.plan.nodes import Items, Node, Scalar, plain
from harness.plan.source import parse
from harness.plan.spans import LocatedText, Source

CASES = {
    "plain": ("- a\n- --flag=<fp_8>  # c\n", "x.yaml", "fp_8"),
    "flow": ("[a, --flag=<fp_8>, b]\n", "x.yaml", "fp_8"),
    "single quoted": ("- '--flag=<fp_8>'\n", "x.yaml", "fp_8"),
    "doubled quote before": ("- 'it''s <fp_8>'\n", "x.yaml", "fp_8"),
    "double quoted": ('- "--flag=<fp_8>"\n', "x.yaml", "fp_8"),
    "escapes before": ('- "\\t\\u00e9\\x41 <fp_8>"\n', "x.yaml", "fp_8"),
    "escape inside": ('- "<f\\u0070_8>"\n', "x.yaml", "fp_8"),
    "wide characters before": ("- '漢字 <fp_8>'\n", "x.yaml", "fp_8"),
    "literal block": ("a: |\n  one\n    two <fp_8>\n  three\n", "x.yaml", "fp_8"),
    "folded block": ("a: >-\n  one\n  two <fp_8>\n", "x.yaml", "fp_8"),
    "block with a header comment": ("a: |+  # c\n  one <fp_8>\n\n", "x.yaml", "fp_8"),
    "plain over two lines": ("a: one\n  two <fp_8>\n", "x.yaml", "fp_8"),
    "quoted over two lines": ('a: "one\n  two <fp_8>"\n', "x.yaml", "fp_8"),
    "line continued by a backslash": ('a: "one\\\n  two <fp_8>"\n', "x.yaml", "fp_8"),
    "anchored": ("a: &here --flag=<fp_8>\nb: *here\n", "x.yaml", "fp_8"),
    "tagged": ("- !!str --flag=<fp_8>\n", "x.yaml", "fp_8"),
    "windows line ends": ("a: x\r\nb: |\r\n  one\r\n  <fp_8>\r\n", "x.yaml", "fp_8"),
    "json": ('{"a": ["x", "--flag=<fp_8>"]}', "x.json", "fp_8"),
    "json escapes": ('["\\ud83d\\ude00\\n\\/ <fp_8>"]', "x.json", "fp_8"),
    "toml basic": ('a = ["x", "\\t<fp_8>"] # c\n', "x.toml", "fp_8"),
    "toml literal": ("[t]\na.b = ['--flag=<fp_8>']\n", "x.toml", "fp_8"),
    "toml multi-line": ('a = """\none\n<fp_8>"""\n', "x.toml", "fp_8"),
    "toml literal multi-line": ("a = '''\none\n<fp_8>'''\n", "x.toml", "fp_8"),
    "toml array of tables": ('[[t]]\na = 1\n[[t]]\na = { b = "<fp_8>" }\n', "x.toml", "fp_8"),
}


@pytest.mark.parametrize("name", CASES)
def test_span_of_a_part_is_where_the_part_stands(
    name: str,
    parse_text: Callable[..., Node],
    scalars_of: Callable[[Node, str, str], list[LocatedText]],
) -> None:
    marked, path, wanted = CASES[name]
    # A block header's `>` is no marker: only the ones around the wanted characters are.
    start = marked.index("<")
    end = marked.index(">", start) - 1
    text = marked[:start] + marked[start + 1 :]
    text = text[:end] + text[end + 1 :]
    found = [one for one in scalars_of(parse_text(text, path), path, text) if wanted in one.text]
    assert found, "the value was not read"
    at = found[0].text.index(wanted)
    assert found[0].span(at, at + len(wanted)) == (start, end)


def test_columns_count_characters_and_lines_count_any_line_break() -> None:
    source = Source.of("x", "é漢\r\nb\rc\nd")
    assert [source.position(offset) for offset in (0, 2, 4, 6, 8)] == [(1, 1), (1, 3), (2, 1), (3, 1), (4, 1)]
    assert [source.line(number) for number in (1, 2, 3, 4)] == ["é漢", "b", "c", "d"]


def test_merge_keys_bring_entries_in_and_explicit_keys_win(parse_text: Callable[..., Node]) -> None:
    node = parse_text("base: &b {x: 1, y: 2}\nmore: &m {z: 3, x: 9}\nc:\n  <<: [*b, *m]\n  y: 5\n")
    assert plain(node)["c"] == {"y": 5, "x": 1, "z": 3}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Off", False),
        ("oFf", "oFf"),
        ("0x1F", 31),
        ("1_000", 1000),
        ("010", 10),
        ("-0o17", "-0o17"),
        ("0o17", 15),
        ("1e3", 1000.0),
        ("0.12.0", "0.12.0"),
        ("32k", "32k"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("~", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
    ],
)
def test_unquoted_scalars_mean_what_yaml_1_2_says_and_switches(
    text: str, value: object, parse_text: Callable[..., Node]
) -> None:
    found = plain(parse_text(f"a: {text}\n"))["a"]
    assert (found, type(found)) == (value, type(value))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    values=st.lists(st.text(st.sampled_from("ab -:#'\"\\\n\té漢{}[],&*!|>%@`=_.0"), max_size=30), min_size=1),
    style=st.sampled_from([None, '"', "'", "|", ">"]),
    width=st.sampled_from([10, 80]),
    flow=st.booleans(),
)
def test_each_character_stands_where_its_span_says(
    values: list[str], style: str | None, width: int, flow: bool
) -> None:
    text = yaml.safe_dump(
        values,
        default_style=style,
        width=width,
        default_flow_style=flow,
        allow_unicode=True,  # type: ignore[call-overload]  # the stubs know no runtime choice of style
    )
    source = Source.of("x.yaml", text)
    (document,) = parse(source, Findings(source))
    assert isinstance(document, Items)
    assert (
        [item.text for item in document.items if isinstance(item, Scalar)] == yaml.safe_load(text) == values
    )
    for item in document.items:
        assert isinstance(item, Scalar)
        located = item.located(source)
        if located.spans is None:
            continue
        assert len(located.spans) == len(item.text)
        for character, (start, end) in zip(item.text, located.spans, strict=True):
            assert item.start <= start <= end <= item.end
            written = text[start:end]
            assert (
                written == character
                or written[:1] in ("\\", "'")
                or (character.isspace() and not written.strip())
            )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
), st.booleans(), st.sampled_from([None, 2]))  # fmt: skip
def test_json_reads_as_pythons_own_reader_does(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    source = Source.of("x.json", text)
    (document,) = parse(source, Findings(source))
    assert plain(document) == json.loads(text)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(st.sampled_from('{}[]",:0123456789.eE+-truefalsn \n\\u/x'), max_size=20))
def test_json_is_refused_exactly_where_pythons_own_reader_refuses(text: str) -> None:
    source = Source.of("x.json", text)
    try:
        json.loads(text, parse_constant=lambda name: json.loads("?"))
        is_json = True
    except ValueError:
        is_json = False
    try:
        parse(source, Findings(source))
        assert is_json
    except ConfigError:
        assert not is_json


TOMLS = (
    "a = 1\nb.c = 'x'\n[t.u]\nd = [1, 'y', {e = \"z\"}]\n[[l]]\nm = 1\n[[l]]\nm = 2\n[l.n]\no = true\n",
    '"quoted key" = """\n a\\\n   b"""\nd = 2024-01-01T00:00:00Z # c\n[ spaced . name ]\nx = { y.z = 0x1F }\n',
    "a = [\n  1, # c ] \n  [2, 3],\n]\nb = '''it's'''\nc = 1e3\nd = inf\n",
)


@pytest.mark.parametrize("text", TOMLS)
def test_toml_reads_as_pythons_own_reader_does(text: str, parse_text: Callable[..., Node]) -> None:
    expected = json.loads(json.dumps(tomllib.loads(text), default=str))
    if "d" in expected and isinstance(expected["d"], str):
        expected["d"] = "2024-01-01T00:00:00Z"  # dates stay as written
    assert plain(parse_text(text, "x.toml")) == expected
