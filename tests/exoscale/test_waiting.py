"""Waiting, on a clock that only sleeping moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from harness.errors import ApiError, ForbiddenError, NotFoundError, OperationFailed, PlatformError
from harness.exoscale.waiting import (
    Polling,
    StillPending,
    created_deployment_id,
    delete_until_gone,
    find_deployment,
    poll_interval_s,
    wait_for_model,
    wait_for_operation,
    wait_until_settled,
)
from harness.exoscale.wire import Operation

Run = Callable[..., Any]
PENDING = {"id": "o", "state": "pending", "reference": {"id": "d"}}


def answer(document: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=document)


def operation(**fields: Any) -> Operation:
    return Operation.model_validate(PENDING | fields)


def deployment(state: str, **fields: Any) -> httpx.Response:
    return answer({"id": "d", "name": "n", "state": state} | fields)


@pytest.mark.parametrize(
    ("elapsed_s", "pause_s"), [(0, 3), (29.9, 3), (30, 3), (465, 31.5), (900, 60), (5000, 60)]
)
def test_polling_starts_at_three_seconds_and_grows_to_a_minute(elapsed_s: float, pause_s: float) -> None:
    assert poll_interval_s(elapsed_s) == pytest.approx(pause_s)


def test_an_operation_is_polled_until_it_succeeds(run: Run, script: Any, polling: Polling, time: Any) -> None:
    network = script(
        answer(PENDING), answer(PENDING | {"state": "resting"}), answer(PENDING | {"state": "success"})
    )
    done = run(network, lambda client: wait_for_operation(client, operation(), polling=polling))
    assert done.succeeded
    assert time.slept == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("state", ["failure", "timeout"])
def test_an_operation_that_begins_as_failed_is_a_failure(
    run: Run, script: Any, polling: Polling, state: str
) -> None:
    failed = operation(state=state, reason="unavailable", message="no GPUs")
    network = script(answer(PENDING))
    with pytest.raises(OperationFailed, match=f"operation 'o' ended in {state}: unavailable: no GPUs"):
        run(network, lambda client: wait_for_operation(client, failed, polling=polling))
    assert network.requests == []


def test_a_failure_without_reason_or_message_is_still_told(run: Run, script: Any, polling: Polling) -> None:
    with pytest.raises(OperationFailed, match="no reason given"):
        run(
            script(answer({"id": "o", "state": "failure"})),
            lambda client: wait_for_operation(client, operation(), polling=polling),
        )


def test_a_pending_operation_ends_at_the_deadline(run: Run, script: Any, time: Any) -> None:
    polling = Polling(deadline_s=10.0, clock=time.clock, sleep=time.sleep)
    with pytest.raises(StillPending, match=r"operation 'o' still 'pending' after 10\.0 s"):
        run(script(answer(PENDING)), lambda client: wait_for_operation(client, operation(), polling=polling))
    assert time.slept == [3.0, 3.0, 3.0, 1.0]


def test_a_fresh_operation_may_be_unknown_for_a_while(run: Run, script: Any, polling: Polling) -> None:
    missing = answer({"error": "not found"}, 404)
    network = script(missing, missing, answer(PENDING | {"state": "success"}))
    assert run(network, lambda client: wait_for_operation(client, operation(), polling=polling)).succeeded


def test_an_operation_unknown_for_longer_is_an_error(
    run: Run, script: Any, polling: Polling, time: Any
) -> None:
    with pytest.raises(NotFoundError):
        run(
            script(answer({"error": "not found"}, 404)),
            lambda client: wait_for_operation(client, operation(), polling=polling),
        )
    assert 30 < time.elapsed < 40


def test_a_lost_network_ends_no_wait_before_its_deadline(run: Run, script: Any, time: Any) -> None:
    polling = Polling(deadline_s=900.0, clock=time.clock, sleep=time.sleep)
    network = script(*[httpx.ConnectError("unreachable")] * 20, answer(PENDING | {"state": "success"}))
    done = run(network, lambda client: wait_for_operation(client, operation(), polling=polling))
    assert done.succeeded
    assert time.elapsed > 200


def test_the_deadline_names_the_last_trouble(run: Run, script: Any, time: Any) -> None:
    polling = Polling(deadline_s=200.0, clock=time.clock, sleep=time.sleep)
    with pytest.raises(StillPending, match="unreachable"):
        run(
            script(httpx.ConnectError("unreachable")),
            lambda client: wait_for_operation(client, operation(), polling=polling),
        )


def test_a_revoked_key_ends_the_wait_at_once(run: Run, script: Any, polling: Polling) -> None:
    with pytest.raises(ForbiddenError):
        run(
            script(answer({"error": "revoked"}, 403)),
            lambda client: wait_for_operation(client, operation(), polling=polling),
        )


def test_the_id_is_the_reference_and_costs_no_call(run: Run, script: Any, polling: Polling) -> None:
    network = script(answer({}))
    found = run(network, lambda client: created_deployment_id(client, operation(), name="n", polling=polling))
    assert found == "d"
    assert network.requests == []


def test_without_a_reference_the_exact_name_is_looked_up(run: Run, script: Any, polling: Polling) -> None:
    listed = [{"id": "x", "name": "n-2"}, {"name": "n", "visibility": "public"}, {"id": "d", "name": "n"}]
    network = script(answer({"deployments": []}), answer({"deployments": listed}))
    unreferenced = operation(reference=None)
    found = run(
        network, lambda client: created_deployment_id(client, unreferenced, name="n", polling=polling)
    )
    assert found == "d"


def test_a_refused_lookup_after_an_accepted_create_is_no_refusal_of_the_create(
    run: Run, script: Any, polling: Polling
) -> None:
    network = script(answer({"error": "revoked"}, 403))
    unreferenced = operation(reference=None)
    with pytest.raises(
        PlatformError, match="'n' was begun but not found: list-deployments refused"
    ) as caught:
        run(network, lambda client: created_deployment_id(client, unreferenced, name="n", polling=polling))
    assert not isinstance(caught.value, ApiError)


def test_two_of_one_name_are_an_error_that_names_both(run: Run, script: Any) -> None:
    listed = [{"id": "x", "name": "n"}, {"id": "y", "name": "n"}]
    with pytest.raises(PlatformError, match="2 deployments are named 'n': x, y"):
        run(script(answer({"deployments": listed})), lambda client: find_deployment(client, "n"))


def test_states_known_or_not_are_told_once_each(run: Run, script: Any, polling: Polling) -> None:
    states = ["creating", "creating", "rebalancing", "deploying", "ready"]
    seen: list[str] = []
    settled = run(
        script(*[deployment(state) for state in states]),
        lambda client: wait_until_settled(client, "d", polling=polling, on_state=seen.append),
    )
    assert settled.state == "ready"
    assert seen == ["creating", "rebalancing", "deploying", "ready"]


def test_error_is_settled_and_keeps_its_details(run: Run, script: Any, polling: Polling) -> None:
    network = script(deployment("error", **{"state-details": "out of memory"}))
    settled = run(network, lambda client: wait_until_settled(client, "d", polling=polling))
    assert (settled.state, settled.state_details) == ("error", "out of memory")


def test_a_model_is_waited_for(run: Run, script: Any, polling: Polling) -> None:
    network = script(
        answer({"id": "m", "state": "downloading"}), answer({"id": "m", "state": "ready", "model-size": 5})
    )
    model = run(network, lambda client: wait_for_model(client, "m", polling=polling))
    assert (model.state, model.model_size) == ("ready", 5)


def test_deletion_is_tried_through_conflicts_failures_and_errors_until_404(
    run: Run, script: Any, polling: Polling
) -> None:
    network = script(
        answer({"error": "busy"}, 409),  # first delete
        answer(PENDING),  # second delete is accepted,
        deployment("ready"),  # the deployment is still there
        answer(PENDING | {"state": "failure", "message": "node lost"}),  # and the operation fails
        httpx.Response(503),  # third delete: once refused by a gateway,
        answer(PENDING),  # then accepted
        httpx.ReadError("reset"),  # a read is lost,
        deployment("ready"),
        answer(PENDING),
        answer({"error": "not found"}, 404),  # and it is gone
    )
    run(network, lambda client: delete_until_gone(client, "d", polling=polling))
    methods = [request.method for request in network.requests]
    assert methods == ["DELETE", "DELETE", "GET", "GET", "DELETE", "DELETE", "GET", "GET", "GET", "GET"]


def test_deleting_what_is_gone_is_done(run: Run, script: Any, polling: Polling) -> None:
    network = script(answer({"error": "not found"}, 404))
    run(network, lambda client: delete_until_gone(client, "d", polling=polling))
    assert len(network.requests) == 1


def test_a_deletion_that_is_always_busy_ends_at_the_deadline(run: Run, script: Any, time: Any) -> None:
    polling = Polling(deadline_s=20.0, clock=time.clock, sleep=time.sleep)
    with pytest.raises(StillPending, match=r"deployment 'd' still not deleted after 20.0 s \(.*busy"):
        run(
            script(answer({"error": "busy"}, 409)),
            lambda client: delete_until_gone(client, "d", polling=polling),
        )


def test_a_deletion_without_the_right_is_not_tried_again(run: Run, script: Any, polling: Polling) -> None:
    network = script(answer({"error": "no"}, 403))
    with pytest.raises(ForbiddenError):
        run(network, lambda client: delete_until_gone(client, "d", polling=polling))
    assert len(network.requests) == 1
