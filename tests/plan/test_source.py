"""Files that cannot be used: one clear error, whatever they are."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.plan.config import load_config
from harness.plan.source import MAX_BYTES, read_source

# Far beyond what any of these takes: a bound that is missing shows as minutes.
HANGS_S = 60.0


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert "\n" not in str(caught.value)
    return "; ".join([str(caught.value), *(one.message for one in caught.value.diagnostics)])


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nope.yaml").endswith("nope.yaml': no such file or directory")


def test_folder_is_refused_as_a_file(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)


def test_file_over_four_mebibytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert "larger than 4 MiB" in refusal(path)


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: b\nc: \xff\n")
    assert "x.yaml:2: not UTF-8 text: byte 0xff at offset 8" in refusal(path)


def test_nul_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: b\nc: \x00\n")
    assert "control character U+0000" in refusal(path)


def test_byte_order_mark_does_not_shift_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: b")
    assert read_source(str(path)).text == "a: b"


def test_name_with_a_nul_is_refused() -> None:
    with pytest.raises(ConfigError, match="null byte"):
        read_source("a\0b")


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "a:\n"])
def test_deep_nesting_is_refused_quickly(opening: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    if opening == "a:\n":
        path.write_text("".join(f"{' ' * depth}a:\n" for depth in range(2000)))
    else:
        path.write_text(opening * 100_000)
    started = time.process_time()
    assert "nested deeper than 100 levels" in refusal(path)
    assert time.process_time() - started < HANGS_S


@pytest.mark.parametrize(
    ("suffix", "opening"), [("json", "["), ("json", '{"a":'), ("toml", "a = ["), ("toml", "a = {b=")]
)
def test_deep_nesting_of_other_formats_is_refused(suffix: str, opening: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_text(opening + opening.removeprefix("a = ").replace("{b=", "{b=") * 5000)
    assert "nested deeper than" in refusal(path)


def test_alias_bomb_is_refused_quickly(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    path.write_text("\n".join(lines))
    started = time.process_time()
    assert "aliases expand to more than" in refusal(path)
    assert time.process_time() - started < HANGS_S


def test_value_inside_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: &a [*a]\n")
    assert "*a stands inside the value it names" in refusal(path)


def test_many_small_values_are_refused_quickly(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("[" + "1," * 450_000 + "]")
    started = time.process_time()
    assert "more than 400000 values" in refusal(path)
    assert time.process_time() - started < HANGS_S
