"""Single values from outside: ids, owners, text, numbers."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobstate import InvalidValueError, JobNotFound, JobStatus, OwnerRequired
from jobstate.values import (
    MAX_TEXT,
    check_status,
    check_text,
    job_id_of,
    mend_text,
    new_id_of,
    optional_text,
    owner_text,
)

JOB = UUID("7f3e0000-0000-4000-8000-00000000000a")

NO_IDS = ["", "7f3e", "x" * 36, "7f3e0000-0000-4000-8000-00000000000g", None, 5, b"x" * 16, [JOB]]


@pytest.mark.parametrize("text", [str(JOB), str(JOB).upper(), JOB.hex, f"{{{JOB}}}", JOB.urn])
def test_a_job_id_is_a_uuid_or_its_text(text: str) -> None:
    assert job_id_of(text) == new_id_of(text) == job_id_of(JOB) == JOB


@pytest.mark.parametrize("value", NO_IDS)
def test_a_malformed_id_is_no_jobs(value: str) -> None:
    with pytest.raises(JobNotFound) as unknown:
        job_id_of(value)
    assert unknown.value.job_id is value


@pytest.mark.parametrize("value", NO_IDS)
def test_a_new_job_cannot_have_a_malformed_id(value: str) -> None:
    with pytest.raises(InvalidValueError, match=r"is not a UUID: the task id is the job's id"):
        new_id_of(value)


def test_an_owner_is_a_uuid_an_integer_or_text() -> None:
    user = uuid4()
    assert owner_text(user, "The job") == str(user)
    assert owner_text(2**62, "The job") == str(2**62)
    assert owner_text("auth0|5", "The job") == "auth0|5"


def test_nobody_is_no_owner() -> None:
    with pytest.raises(OwnerRequired, match="The job has no owner"):
        owner_text(None, "The job")


@pytest.mark.parametrize("value", [True, False, 5.0, b"5", [5], object()])
def test_another_type_is_no_owner(value: object) -> None:
    with pytest.raises(InvalidValueError, match=f"is a {type(value).__name__}, but an owner is"):
        owner_text(value, "The job")


@pytest.mark.parametrize("value", ["a\0b", "\udfff", pytest.param(10**4300, id="digits")])
def test_an_owner_is_text_that_can_be_stored(value: str | int) -> None:
    with pytest.raises(InvalidValueError, match=r"in the user id|user id has more than 4300"):
        owner_text(value, "The job")


@pytest.mark.parametrize("status", JobStatus)
def test_a_status_is_named_by_its_text(status: JobStatus) -> None:
    assert check_status(status.value) is check_status(status) is status


@pytest.mark.parametrize("value", ["done", "", None, 5, ["failed"]])
def test_an_unknown_status_is_refused_with_those_that_are_known(value: str) -> None:
    with pytest.raises(InvalidValueError, match="a job is queued, processing, completed, failed"):
        check_status(value)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_text_that_can_be_stored_is_left_alone(text: str) -> None:
    assert check_text(text, "label") is text
    assert optional_text(text, "label") is text
    assert mend_text(text) == text


def test_missing_text_stays_missing() -> None:
    assert optional_text(None, "label") is None


@pytest.mark.parametrize("value", [5, b"text", None, ["text"]])
def test_what_is_not_text_is_refused_with_its_type(value: str) -> None:
    with pytest.raises(InvalidValueError, match=f"The label is a {type(value).__name__}: it must"):
        check_text(value, "label")


@given(st.text(st.characters() | st.characters(categories=["Cs"]) | st.just("\0")))
def test_mended_text_can_always_be_stored(text: str) -> None:
    mended = mend_text(text)
    assert check_text(mended, "label") == mended
    assert mend_text(mended) == mended


def test_mended_text_is_cut() -> None:
    assert mend_text("ü" * (MAX_TEXT + 1)) == "ü" * MAX_TEXT


def test_mending_keeps_everything_else() -> None:
    assert mend_text("a\0b") == "a\ufffdb"
    assert mend_text("a\ud800b").replace("\ufffd", "") == "ab"
