"""The error tree's own small parts."""

from __future__ import annotations

import pytest

from harness.errors import ApiError, was_interrupted


def test_an_api_error_says_operation_subject_status_and_particulars() -> None:
    error = ApiError("create-deployment", status=400, detail="bad", errors=["a", "b"], subject="'x'")
    assert str(error) == "create-deployment refused 'x' (400): bad (a; b)"


def cut_off() -> None:
    try:
        raise KeyboardInterrupt
    finally:
        raise RuntimeError("the loop was stopped")


def test_an_interrupt_is_seen_through_what_it_caused() -> None:
    with pytest.raises(RuntimeError) as caught:
        cut_off()
    assert was_interrupted(caught.value)
    assert not was_interrupted(RuntimeError("of its own"))
