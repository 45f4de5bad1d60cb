from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.results.compare import Change, Sample, Subject, Verdict
from harness.results.gates import Bar, BarOutcome, checks, judge, unchecked
from harness.results.matching import LeftOut, Pairing
from harness.results.stats import Interval


def change_of(relative: float, interval: tuple[float, float] | None) -> Change:
    ends = None if interval is None else Interval(*interval)
    verdict = Verdict.NO_INTERVAL
    if ends is not None:
        verdict = Verdict.WORSE if ends.excludes(0.0) else Verdict.NOT_DISTINGUISHED
    return Change("cell", "c8", "ttft_p99", 1.0, 1.0 + relative, relative, ends, "x", verdict)


@pytest.mark.parametrize(
    ("relative", "interval", "outcome"),
    [
        (0.04, (0.03, 0.05), BarOutcome.HELD),
        (0.08, (0.02, 0.14), BarOutcome.MISSED),
        (0.08, (-0.02, 0.18), BarOutcome.INCONCLUSIVE),
        (0.08, None, BarOutcome.INCONCLUSIVE),
        (-0.50, (-0.60, -0.40), BarOutcome.HELD),
    ],
)
def test_a_bar_is_missed_only_by_a_change_that_is_distinguished(
    relative: float, interval: tuple[float, float] | None, outcome: BarOutcome
) -> None:
    assert judge(change_of(relative, interval), Bar.parse("ttft_p99 > +5%")) is outcome


def test_bars_are_read_with_and_without_spaces_and_printed_alike() -> None:
    assert Bar.parse("ttft_p99>+5%") == Bar.parse(" ttft_p99 > 5 % ") == Bar("ttft_p99", True, 0.05)
    assert str(Bar.parse("output_throughput<-2.5%")) == "output_throughput < -2.5%"


@pytest.mark.parametrize("text", ["ttft_p99", "ttft_p99 > 5", "> 5%", "ttft_p98 > 5%", "ttft_p99 = 5%", ""])
def test_a_bar_that_cannot_be_read_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        Bar.parse(text)


def test_a_bar_is_checked_at_all_that_a_measured_and_says_where_it_could_not_be() -> None:
    sample = (Sample(0, {}),)
    pairing = Pairing(
        cells=(("a", "b"),),
        subjects=(Subject("cell", "c8", sample, sample), Subject("cell", "c32", sample, sample)),
        left_out=(LeftOut("gone", None, "only in A"), LeftOut("new", "c8", "only in B", of_a=False)),
    )
    bar, other = Bar.parse("ttft_p99 > +5%"), Bar.parse("goodput < -5%")
    found = checks([bar, other], [change_of(0.02, (-0.1, 0.14))], pairing)
    assert [str(check) for check in found] == [
        "held: ttft_p99 > +5% · cell · c8 (+2.0 %)",
        "not checked: ttft_p99 > +5% · cell · c32 (no ttft_p99 on both sides)",
        "not checked: ttft_p99 > +5% · gone (only in A)",
        "not checked: goodput < -5% · cell · c8 (no goodput on both sides)",
        "not checked: goodput < -5% · cell · c32 (no goodput on both sides)",
        "not checked: goodput < -5% · gone (only in A)",
    ]
    assert unchecked([bar, other], found) == [other]


def test_a_change_past_a_bar_without_an_interval_checks_nothing() -> None:
    sample = (Sample(0, {}),)
    pairing = Pairing((("a", "b"),), (Subject("cell", "c8", sample, sample),), ())
    bar = Bar.parse("ttft_p99 > +5%")
    vague = checks([bar], [change_of(0.08, None)], pairing)
    assert [str(check) for check in vague] == [
        "inconclusive: ttft_p99 > +5% · cell · c8 (+8.0 %, no interval)"
    ]
    assert unchecked([bar], vague) == [bar]
    assert unchecked([bar], checks([bar], [change_of(0.08, (-0.02, 0.18))], pairing)) == []
