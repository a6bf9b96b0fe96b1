"""Whatever is passed, it is stored as it was or refused with a clear error and nothing changed."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobstate import InvalidValueError, Job, JobService, Settings
from jobstate.values import mend_text
from tests.factories import everything

PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
# Postgres writes a whole float as an integer, and from 2**53 on Python tells them apart.
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(-(2.0**53), 2.0**53)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | PLAIN,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(PLAIN, inner, max_size=5),
)

BAD_TEXTS = {"a\0b": "NUL character", "a\ud800b": "lone surrogate", 5: "must be text"}

BAD_JSON: list[tuple[Any, str]] = [
    (object(), "is a object: it is not JSON"),
    ({"rows": [{1, 2}]}, "at rows.0 is a set: it is not JSON"),
    ({"mean": float("nan")}, "at mean is nan: it must be a finite number"),
    (float("inf"), "is inf: it must be a finite number"),
    ({"a": ["b\0"]}, "NUL character in the"),
    ({"a\0": 1}, "NUL character in the key"),
    (["\ud800"], "lone surrogate in the"),
    ({"\ud800": 1}, "lone surrogate in the key"),
    ({"n": 10**4300}, "at n has more than 4300 digits"),
]


@pytest.fixture
def job(job_in: Callable[[str], Job]) -> Job:
    """A job that is processing."""
    return job_in("processing")


@pytest.fixture
def unchanged(
    service: JobService, job: Job, connect: Callable[[], psycopg.Connection]
) -> Callable[[], bool]:
    """Tell whether everything is as it was, and no job was added."""
    connection = connect()
    before = everything(connection, job.id)
    return lambda: (
        everything(connection, job.id) == before and sum(service.stats().by_status.values()) == 1
    )


@pytest.mark.parametrize(
    "progress",
    [-1, 101, 100.5, float("nan"), float("inf"), -float("inf"), "50", True, None, 10**400, [50]],
)
def test_progress_that_is_no_percentage_is_refused(
    jobs: JobService, job: Job, unchanged: Callable[[], bool], progress: float
) -> None:
    with pytest.raises(InvalidValueError, match=r"[Pp]rogress"):
        jobs.update_progress(job.id, progress, message="Halfway")
    if progress is not None:
        with pytest.raises(InvalidValueError, match=r"[Pp]rogress"):
            jobs.transition_status(job.id, "failed", progress=progress)
    assert unchanged()


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf"), "5", True, 10**400])
def test_an_amount_that_is_none_is_refused(
    jobs: JobService, job: Job, unchanged: Callable[[], bool], amount: float
) -> None:
    with pytest.raises(InvalidValueError, match="The current amount"):
        jobs.update_progress(job.id, 50, current=amount)
    with pytest.raises(InvalidValueError, match="The total amount"):
        jobs.update_progress(job.id, 50, total=amount)
    assert unchanged()


@pytest.mark.parametrize(("value", "words"), BAD_JSON)
def test_what_is_not_json_is_refused_with_its_place(
    jobs: JobService,
    job: Job,
    user_id: UUID,
    unchanged: Callable[[], bool],
    value: object,
    words: str,
) -> None:
    with pytest.raises(InvalidValueError, match="parameters") as refused:
        jobs.create_job(user_id, "report", value)
    assert words in str(refused.value)
    for call in (jobs.mark_completed, jobs.mark_partial):
        with pytest.raises(InvalidValueError, match="result") as refused:
            call(job.id, value)
        assert words in str(refused.value)
    assert unchanged()


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_text_that_postgres_cannot_store_is_refused_wherever_it_is(
    jobs: JobService, job: Job, user_id: UUID, unchanged: Callable[[], bool], text: Any
) -> None:
    words = BAD_TEXTS[text]
    calls: dict[str, Callable[[], object]] = {
        "job type": lambda: jobs.create_job(user_id, text),
        "idempotency key": lambda: jobs.create_job(user_id, "report", idempotency_key=text),
        "progress message": lambda: jobs.update_progress(job.id, 50, message=text),
        "error message": lambda: jobs.mark_failed(job.id, text),
        "asset type": lambda: jobs.create_asset(job.id, user_id, text, "u", "p", 9),
        "asset's URL": lambda: jobs.create_asset(job.id, user_id, "csv", text, "p", 9),
        "storage path": lambda: jobs.create_asset(job.id, user_id, "csv", "u", text, 9),
        "content type": lambda: jobs.create_asset(
            job.id, user_id, "csv", "u", "p", 9, content_type=text
        ),
        "sha256": lambda: jobs.create_asset(job.id, user_id, "csv", "u", "p", 9, sha256=text),
    }
    for name, call in calls.items():
        with pytest.raises(InvalidValueError, match=words) as refused:
            call()
        assert f"the {name}" in str(refused.value).lower().replace("url", "URL")
    if isinstance(text, str):
        for call in (
            lambda: jobs.create_job(text, "report"),
            lambda: jobs.mark_partial(job.id, error_message=text),
            lambda: jobs.list_jobs(user_id, job_type=text),
        ):
            with pytest.raises(InvalidValueError, match=words):
                call()
    assert unchanged()


@pytest.mark.parametrize("file_size", [-1, 9.0, "9", None, True, 2**63, 10**30])
def test_a_file_size_that_is_none_is_refused(
    jobs: JobService, job: Job, user_id: UUID, unchanged: Callable[[], bool], file_size: int
) -> None:
    with pytest.raises(InvalidValueError):
        jobs.create_asset(job.id, user_id, "csv", "u", "p", file_size)
    assert unchanged()


@pytest.mark.parametrize("job_id", ["", "7f3e", 5, b"x" * 16])
def test_a_new_job_cannot_have_a_malformed_id(
    jobs: JobService, user_id: UUID, unchanged: Callable[[], bool], job_id: str
) -> None:
    with pytest.raises(InvalidValueError, match="is not a UUID"):
        jobs.create_job(user_id, "report", job_id=job_id)
    with pytest.raises(InvalidValueError, match="is not a UUID"):
        jobs.create_job(user_id, "report", parent_id=job_id)
    assert unchanged()


def test_an_unknown_status_is_refused(
    jobs: JobService, job: Job, unchanged: Callable[[], bool]
) -> None:
    for target in ("done", "", None, 5, ["failed"]):
        with pytest.raises(InvalidValueError, match="is unknown: a job is queued, processing"):
            jobs.transition_status(job.id, target)  # type: ignore[arg-type]
    assert unchanged()


def test_ten_megabytes_are_refused_and_the_limit_can_be_raised(
    jobs: JobService,
    open_jobs: Callable[..., JobService],
    jobs_url: str,
    job: Job,
    unchanged: Callable[[], bool],
) -> None:
    much = {"text": "x" * 10_000_000}
    with pytest.raises(
        InvalidValueError, match=r"10,000,012 bytes .* at most 1,048,576 are stored"
    ):
        jobs.mark_completed(job.id, much)
    with pytest.raises(InvalidValueError, match=r"10,000,012 bytes .* at most 262,144 are stored"):
        jobs.create_job(job.user_id, "report", much)
    assert unchanged()
    conf = {"jobstate_database_url": jobs_url, "jobstate_max_result_bytes": 10_000_012}
    patient = open_jobs(jobs_url, settings=Settings.load(conf))
    assert patient.mark_completed(job.id, much).result == much


def test_what_is_accepted_can_be_read_from_any_depth_of_the_stack(
    jobs: JobService, job: Job, user_id: UUID
) -> None:
    deep: Any = []
    for _ in range(99):
        deep = [deep]
    jobs.mark_completed(job.id, deep)

    def read(frames: int) -> Job:
        return read(frames - 1) if frames else jobs.get_job(job.id, user_id)

    assert read(500).result == deep
    with pytest.raises(InvalidValueError, match="is nested too deeply"):
        jobs.create_job(user_id, "report", [deep])


def test_what_refers_to_itself_is_refused(
    jobs: JobService, job: Job, unchanged: Callable[[], bool]
) -> None:
    parent: dict[str, Any] = {}
    parent["children"] = [{"parent": parent} for _ in range(9)]
    with pytest.raises(InvalidValueError, match=r"at children\.0\.parent refers to itself"):
        jobs.mark_completed(job.id, parent)
    assert unchanged()


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=VALUES, text=PLAIN.map(mend_text))
def test_what_is_accepted_is_read_back_as_it_was(
    service: JobService, value: object, text: str
) -> None:
    """Through Postgres and its own idea of numbers."""
    owner = uuid4()
    created = service.create_job(owner, text, {"value": value})
    assert (created.parameters, created.job_type) == ({"value": value}, text)
    service.transition_status(created.id, "processing")
    service.update_progress(created.id, 1, message=text)
    done = service.mark_partial(created.id, value, text)
    assert (done.result, done.error_message, done.progress_message) == (value, text, text)
    assert service.get_job(created.id, owner) == done
