"""The server's counters: read from its text, compared before and after."""

from __future__ import annotations

from harness.load.scrape import growth, parse_metrics

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
