from __future__ import annotations

from harness.results.factors import Effect
from harness.results.sections import factor_sections
from harness.results.stats import Interval


def test_effects_are_told_with_their_interval_and_what_is_not_distinguished() -> None:
    effects = [
        Effect("gpu_count", "1", "2", "output_throughput_tok_s", 0.5, Interval(0.4, 0.6), 8),
        Effect("--max-num-seqs", "64", "256", "ttft_p95_s", 0.1, Interval(-0.1, 0.3), 8),
        Effect("model", "a", "b", "ttft_p95_s", 0.1, None, 1),
    ]
    (section,) = factor_sections(effects, ())
    assert [[cell.text for cell in row] for row in section.tables[0].rows] == [
        ["gpu count", "1 → 2", "output tokens/s", "+50.0 %", "+40.0 to +60.0 %", "", "8"],
        ["--max-num-seqs", "64 → 256", "TTFT p95", "+10.0 %", "-10.0 to +30.0 %", "not distinguished", "8"],
        ["model", "a → b", "TTFT p95", "+10.0 %", "one pair", "not distinguished", "1"],
    ]
    assert "2 intervals at 95 %: about 0.1" in section.text[0]
    assert list(factor_sections([], ())) == []
