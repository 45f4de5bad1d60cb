"""The server's counters: read from its text, compared before and after."""

from __future__ import annotations

from harness.load.records import ClientStats, StageResult
from harness.load.scrape import growth, note_growth, parse_metrics

TEXT = """\
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="tiny"} 120.0
vllm:generation_tokens_total{engine="1",model_name="tiny"} 30.0
vllm:generation_tokens_created{engine="0",model_name="tiny"} 1.795e+09
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001",model_name="tiny"} 3.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="tiny"} 0.25
vllm:num_requests_running{engine="0",model_name="tiny"} 2.0
python_gc_objects_collected_total{generation="0"} 9
vllm:broken_total{engine="0"} x
"""


def test_counters_are_summed_over_labels_and_the_rest_left_out() -> None:
    assert parse_metrics(TEXT) == {
        "vllm:generation_tokens_total": 150.0,
        "vllm:generation_tokens_created": 1.795e9,
        "vllm:time_to_first_token_seconds_sum": 0.25,
        "vllm:num_requests_running": 2.0,
    }


def test_growth_is_the_difference_and_gauges_stay() -> None:
    before = {"vllm:generation_tokens_total": 100.0, "vllm:num_requests_running": 7.0}
    after = {"vllm:generation_tokens_total": 150.0, "vllm:num_requests_running": 2.0, "vllm:new_total": 4.0}
    assert growth(before, after) == {
        "vllm:generation_tokens_total": 50.0,
        "vllm:num_requests_running": 2.0,
        "vllm:new_total": 4.0,
    }


def test_a_counter_that_went_back_means_a_restart() -> None:
    assert growth({"vllm:generation_tokens_total": 100.0}, {"vllm:generation_tokens_total": 3.0}) is None


def test_counters_that_began_anew_mean_a_restart_even_when_they_have_grown_past_the_old_ones() -> None:
    before = {"vllm:generation_tokens_total": 10.0, "vllm:generation_tokens_created": 1.7e9}
    after = {"vllm:generation_tokens_total": 900.0, "vllm:generation_tokens_created": 1.7e9 + 60}
    assert growth(before, after) is None
    assert growth(before, {**after, "vllm:generation_tokens_created": 1.7e9}) == {
        "vllm:generation_tokens_total": 890.0
    }


def test_a_restart_is_noted_in_the_result_and_so_is_what_grew() -> None:
    result = StageResult("c1", {}, [], 0.0, 1.0, 0.0, ClientStats("kernel", 0.0, 0.1, 0.0, 1, 1, 0.0, 1))
    note_growth(result, None, {"vllm:x_total": 1.0})
    assert (result.server_metrics, result.server_restarted) == (None, False)
    note_growth(result, {"vllm:x_total": 1.0}, {"vllm:x_total": 4.0})
    assert (result.server_metrics, result.server_restarted) == ({"vllm:x_total": 3.0}, False)
    note_growth(result, {"vllm:x_total": 9.0}, {"vllm:x_total": 4.0})
    assert (result.server_metrics, result.server_restarted) == (None, True)
