"""Fault files and their draws."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.simulator.fault_guide import MEANINGS, guide
from harness.simulator.faults import AFTER_CALL, BEFORE_CALL, ENDPOINT, Fault, FaultPlan, Rule, read_faults


def draws(plan: FaultPlan, count: int, *faults: Fault, operation: str = "get-operation") -> list[bool]:
    return [
        plan.draw(*faults, operation=operation, subjects=("n", "gpua5000")) is not None for _ in range(count)
    ]


def test_skip_and_times_bound_where_a_rule_strikes() -> None:
    plan = FaultPlan((Rule(fault=Fault.RATE_LIMITED, skip=2, times=2),))
    assert draws(plan, 6, Fault.RATE_LIMITED) == [False, False, True, True, False, False]
    assert plan.injected == {"rate-limited": 2}


def test_every_other_occasion_may_be_hit() -> None:
    plan = FaultPlan((Rule(fault=Fault.DEAD_REPLICA, every=3, skip=1, times=2),))
    assert draws(plan, 11, Fault.DEAD_REPLICA) == [occasion in (4, 7) for occasion in range(1, 12)]


def test_a_rule_may_hold_for_a_while_only() -> None:
    now = iter([0.0, 299.0, 300.0, 599.9, 600.0, 700.0])
    plan = FaultPlan((Rule(fault=Fault.RESET_BEFORE, since=300, until=600),), clock=lambda: next(now))
    assert draws(plan, 6, Fault.RESET_BEFORE) == [False, False, True, True, False, False]


def test_patterns_choose_operations_and_subjects() -> None:
    plan = FaultPlan((Rule(fault=Fault.BUSY, operation="delete-*", subject="gpu?5000"),))
    assert draws(plan, 1, Fault.BUSY) == [False]
    assert draws(plan, 1, Fault.BUSY, operation="delete-deployment") == [True]
    assert plan.draw(Fault.BUSY, operation="delete-deployment", subjects=("n", "gpu3")) is None
    assert plan.draw(Fault.BUSY, operation="delete-deployment") is None


def test_the_same_seed_draws_the_same_and_half_means_half() -> None:
    rules = (Rule(fault=Fault.SERVER_ERROR, probability=0.5),)
    first = draws(FaultPlan(rules, seed=1), 1000, Fault.SERVER_ERROR)
    assert first == draws(FaultPlan(rules, seed=1), 1000, Fault.SERVER_ERROR)
    assert first != draws(FaultPlan(rules, seed=2), 1000, Fault.SERVER_ERROR)
    assert 440 < sum(first) < 560  # within 4 standard deviations


def test_a_rule_added_at_the_end_does_not_move_the_others() -> None:
    rules = (Rule(fault=Fault.SERVER_ERROR, probability=0.5),)
    more = (*rules, Rule(fault=Fault.RATE_LIMITED, probability=0.5))
    alone = draws(FaultPlan(rules, seed=1), 100, Fault.SERVER_ERROR)
    assert alone == draws(FaultPlan(more, seed=1), 100, Fault.SERVER_ERROR)


def test_every_fault_is_in_a_group_or_belongs_to_the_life_cycle() -> None:
    assert set(BEFORE_CALL) & set(AFTER_CALL) == set()
    assert set(BEFORE_CALL) & set(ENDPOINT) == set()
    assert len(ENDPOINT) == 15
    assert len(Fault) == 9 + 13 + 15


def test_every_fault_is_explained_once() -> None:
    assert set(MEANINGS) == set(Fault)
    listed = [line.split()[0] for line in guide() if line.startswith("  ")]
    assert sorted(listed) == sorted(fault.value for fault in Fault)


def test_a_file_may_be_yaml_json_or_a_bare_list(tmp_path: Path) -> None:
    texts = {
        "a.yaml": "seed: 3\nfaults:\n  - {fault: no-done, times: 1}\nquotas: {gpua5000: 4}\n",
        "b.json": '{"faults": [{"fault": "no-done", "times": 1}]}',
        "c.yaml": "- {fault: no-done, times: 1}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert read_faults(tmp_path / name).faults == (Rule(fault=Fault.NO_DONE, times=1),)
    assert read_faults(tmp_path / "a.yaml").quotas == {"gpua5000": 4}
    (tmp_path / "empty.yaml").write_text("")
    assert read_faults(tmp_path / "empty.yaml").faults == ()


WRONG = [
    ("faults: [{fault: no-dome}]", "faults.0.fault: no fault 'no-dome'; did you mean 'no-done'?"),
    ("faults: [{fault: zzzzzzzz}]", "one of: rate-limited, server-error"),
    ("faults: [{fault: no-done, tmes: 1}]", "faults.0.tmes: extra inputs are not permitted"),
    ("faults: [{fault: no-done, probability: 2}]", "faults.0.probability"),
    ("faults: 7", "faults"),
    ("7", "the document"),
    ("a: [", "is neither YAML nor JSON"),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_an_unusable_file_says_where(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_faults(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the fault file"):
        read_faults(tmp_path / "nowhere.yaml")
