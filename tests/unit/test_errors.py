"""Every error says what is wrong and what to do, and travels between processes."""

import copy
import pickle
import re
from uuid import UUID

import pytest

from jobstate import (
    ErrorCode,
    InvalidStateTransitionError,
    InvalidValueError,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobStateError,
    JobStatus,
    LeaseLost,
    NotOwner,
    OwnerRequired,
    StoreUnavailable,
)

JOB = UUID("7f3e0000-0000-4000-8000-000000000000")

ERRORS = [
    JobNotFound(JOB),
    NotOwner(JOB, 42),
    OwnerRequired("The export"),
    InvalidStateTransitionError(JOB, JobStatus.FAILED, JobStatus.COMPLETED),
    LeaseLost(JOB, 3),
    JobCancelled(JOB),
    StoreUnavailable("The jobs database did not answer. Check that Postgres runs."),
]

names = [type(error).__name__ for error in ERRORS]


@pytest.mark.parametrize("error", ERRORS, ids=names)
def test_a_message_has_a_fact_an_expectation_and_a_remedy(error: JobStateError) -> None:
    sentences = re.split(r"(?<=[.!])\s", str(error))
    assert len(sentences) >= 2
    assert str(error).endswith((".", "()."))


@pytest.mark.parametrize("error", ERRORS, ids=names)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_is_the_same_after_pickling(error: JobStateError, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - pickled on this line
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("error", ERRORS, ids=names)
def test_an_error_is_the_same_after_copying(error: JobStateError) -> None:
    again = copy.copy(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.mark.parametrize("code", [None, "out_of_credit"])
def test_a_failure_keeps_its_message_and_code_after_pickling(code: str | None) -> None:
    failure = JobFailed("No credit left", code=code)
    again = pickle.loads(pickle.dumps(failure))  # noqa: S301 - pickled on this line
    assert (again.message, again.code, str(again)) == (
        "No credit left",
        code or "exception",
        "No credit left",
    )


class OutOfCredit(JobFailed):
    """A task's own failure, with a constructor of its own."""

    def __init__(self, missing: int) -> None:
        super().__init__(f"{missing} credits are missing", code="out_of_credit")
        self.missing = missing


def test_a_task_may_derive_its_own_failure() -> None:
    again = pickle.loads(pickle.dumps(OutOfCredit(7)))  # noqa: S301 - pickled on this line
    assert type(again) is OutOfCredit
    assert (again.missing, again.code, str(again)) == (7, "out_of_credit", "7 credits are missing")


@pytest.mark.parametrize("code", ["a", "out_of_credit", "error_404", "x" * 50, "0"])
def test_a_code_of_lower_case_letters_digits_and_underscores_is_accepted(code: str) -> None:
    assert JobFailed("No", code=code).code == code


@pytest.mark.parametrize(
    "code", ["", "x" * 51, "Out", "out of credit", "out-of-credit", "ä", "a\n", 404, b"out"]
)
def test_a_malformed_code_is_refused(code: str) -> None:
    with pytest.raises(InvalidValueError, match=re.escape(f"{code!r} is malformed")):
        JobFailed("No", code=code)


@pytest.mark.parametrize("code", ErrorCode)
def test_the_librarys_own_codes_are_refused(code: ErrorCode) -> None:
    with pytest.raises(InvalidValueError, match=r"is one of jobstate's own"):
        JobFailed("No", code=code.value)


def test_an_invalid_value_is_a_value_error() -> None:
    assert issubclass(InvalidValueError, ValueError)


@pytest.mark.parametrize(
    ("current", "target", "words"),
    [
        ("queued", "completed", "it can only become processing. Move it through processing first."),
        ("processing", "queued", "Leave it as it is: only a job that has landed can be run again."),
        ("processing", "processing", "or move it to one of these."),
        ("failed", "completed", "it has landed and never moves. To run it again, enqueue a new"),
    ],
)
def test_a_refused_move_names_both_statuses_and_what_is_legal(
    current: str, target: str, words: str
) -> None:
    error = InvalidStateTransitionError(JOB, JobStatus(current), JobStatus(target))
    assert f"Job {JOB} cannot become {target}: it is {current}, and it" in str(error)
    assert words in str(error)
    assert (error.job_id, error.current, error.target) == (JOB, current, target)
