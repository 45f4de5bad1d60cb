"""Quantities on paper and back, by values worked by hand."""

from __future__ import annotations

import pytest

from harness.units import counted, exact, format_bytes, format_duration, ms, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("1.5m", 90.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        (" 2 MIN ", 120.0),
        ("0", 0.0),
    ],
)
def test_durations_are_read_in_every_way_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "-1", "-3s", "inf", "nan", "1m x"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.21, "3.2 s"), (245, "4m 05s"), (7380, "2h 03m"), (59.94, "59.9 s"), (3599.6, "1h 00m")],
)
def test_durations_are_written_to_be_read(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(512, "512 B"), (1536, "1.5 KiB"), (16_428_040_192, "15.3 GiB"), (2**42, "4096.0 GiB")],
)
def test_bytes_are_in_binary_units(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_one_of_a_thing_has_no_s() -> None:
    assert [counted(count, "cell") for count in (0, 1, 2, 1200)] == [
        "0 cells",
        "1 cell",
        "2 cells",
        "1,200 cells",
    ]


@pytest.mark.parametrize("value", [0.1, 4.0, 1e-05, 2.0000001, 1 / 3])
def test_exact_text_reads_back_as_the_same_number(value: float) -> None:
    assert float(exact(value)) == value
    assert not exact(value).endswith(".0")


def test_milliseconds_of_nothing_are_nothing() -> None:
    assert ms(None) is None
    assert ms(0.25) == 250
