"""Where a job can be, and which moves are legal."""

from itertools import product

import pytest

from jobstate import VALID_TRANSITIONS, ErrorCode, JobStatus, is_terminal_state
from jobstate.states import TERMINAL_STATUSES, sources_of

LEGAL = {
    ("queued", "processing"),
    ("processing", "completed"),
    ("processing", "failed"),
    ("processing", "partial"),
}


@pytest.mark.parametrize(("current", "target"), list(product(JobStatus, JobStatus)))
def test_four_moves_are_legal_and_no_other(current: JobStatus, target: JobStatus) -> None:
    assert (target in VALID_TRANSITIONS[current]) == ((current, target) in LEGAL)


@pytest.mark.parametrize("status", JobStatus)
def test_a_status_is_terminal_when_nothing_leads_out_of_it(status: JobStatus) -> None:
    leads_out = any(current == status for current, _ in LEGAL)
    assert is_terminal_state(status) is not leads_out
    assert is_terminal_state(status.value) is not leads_out
    assert (status in TERMINAL_STATUSES) is not leads_out


@pytest.mark.parametrize("name", ["done", "", "QUEUED", None])
def test_what_is_no_status_is_not_judged(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid JobStatus"):
        is_terminal_state(name)


@pytest.mark.parametrize("target", JobStatus)
def test_the_sources_of_a_status_are_those_that_may_move_to_it(target: JobStatus) -> None:
    assert set(sources_of(target)) == {current for current, to in LEGAL if to == target}


def test_the_rules_cannot_be_changed_at_run_time() -> None:
    with pytest.raises(TypeError):
        VALID_TRANSITIONS[JobStatus.COMPLETED] = frozenset(JobStatus)  # type: ignore[index]


def test_a_status_is_its_lower_case_text() -> None:
    assert [str(status) for status in JobStatus] == [
        "queued",
        "processing",
        "completed",
        "failed",
        "partial",
    ]


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_code_is_its_name_in_lower_case(code: ErrorCode) -> None:
    assert code == code.name.lower()


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_code_has_a_sentence_for_the_owner(code: ErrorCode) -> None:
    assert code.message[0].isupper()
    assert code.message.endswith(".")
