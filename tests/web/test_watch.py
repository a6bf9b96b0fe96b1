"""Who is told what, whatever comes before what else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobstate import Job, JobStatus
from jobstate.watching import Change, Changes
from jobstate.web.watch import OVERLAP, Viewer, Watch
from tests.unit.test_records import a_job

START = datetime(2026, 5, 17, 12, tzinfo=UTC)

OWNER = str(uuid4())


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def job_at(seconds: float, **columns: Any) -> Job:
    """A processing job of the owner, as it was so long after the start."""
    plain = {"user_id": UUID(OWNER), "created_at": START, "updated_at": at(seconds)}
    return a_job(**{**plain, **columns})


def later(job: Job, seconds: float, **columns: Any) -> Job:
    return replace(job, updated_at=at(seconds), **columns)


def landed(job: Job, seconds: float) -> Job:
    return later(job, seconds, status=JobStatus.COMPLETED, completed_at=at(seconds))


def found(seconds: float, *jobs: Job, owner: str = OWNER) -> Changes:
    """What a question about an owner finds so long after the start."""
    return Changes(at(seconds), owner, [Change(job.id, job) for job in jobs])


def asked(watch: Watch) -> dict[UUID, datetime]:
    """The jobs that the next question names, with their versions."""
    params = watch.question().params
    return dict(zip(params["ids"], params["versions"], strict=True))


def read(viewer: Viewer) -> list[Job | None]:
    return [update.job for update in viewer.read()]


@pytest.fixture
def watch() -> Watch:
    """Nobody watches yet."""
    return Watch()


@pytest.fixture
def viewer() -> Viewer:
    """Somebody who reads when the test says so."""
    return Viewer(lambda: None)


def test_a_viewer_is_told_what_is_new_and_the_question_names_what_is_known(
    watch: Watch, viewer: Viewer
) -> None:
    job = job_at(0)
    watch.join_job(viewer, job)
    assert asked(watch) == {job.id: at(0)}
    assert read(viewer) == []
    watch.answer(found(2, later(job, 1)))
    assert read(viewer) == [later(job, 1)]
    assert asked(watch) == {job.id: at(1)}


def test_a_slow_viewer_reads_the_last_state_alone(watch: Watch, viewer: Viewer) -> None:
    job = job_at(0)
    watch.join_job(viewer, job)
    for second in range(1, 100):
        watch.answer(found(second, later(job, second, progress=second)))
    watch.answer(found(100, landed(job, 100)))
    assert read(viewer) == [landed(job, 100)]


def test_who_joins_with_an_older_state_is_told_the_one_that_is_known(
    watch: Watch, viewer: Viewer
) -> None:
    job = job_at(0)
    watch.join_job(Viewer(lambda: None), job)
    watch.answer(found(2, landed(job, 1)))
    watch.join_job(viewer, job)
    assert read(viewer) == [landed(job, 1)]


def test_who_joins_with_a_newer_state_costs_the_others_no_news(
    watch: Watch, viewer: Viewer
) -> None:
    job = job_at(0)
    watch.join_job(viewer, job)
    watch.join_job(Viewer(lambda: None), landed(job, 1))
    assert asked(watch) == {job.id: at(0)}


def test_an_answer_that_is_older_than_what_is_known_is_no_news(
    watch: Watch, viewer: Viewer
) -> None:
    job = job_at(0)
    watch.join_job(viewer, later(job, 5))
    watch.answer(found(6, later(job, 4)))
    assert read(viewer) == []


def test_a_landing_is_news_whatever_the_clock_says(watch: Watch, viewer: Viewer) -> None:
    job = job_at(0)
    watch.join_job(viewer, later(job, 5))
    watch.answer(found(6, landed(job, 4)))
    assert read(viewer) == [landed(job, 4)]


def test_a_job_that_is_gone_is_told_once_and_asked_for_no_more(
    watch: Watch, viewer: Viewer
) -> None:
    job = job_at(0)
    watch.join_job(viewer, job)
    watch.answer(Changes(at(1), None, [Change(job.id, None)]))
    assert read(viewer) == [None]
    assert asked(watch) == {}
    watch.leave(viewer)
    assert watch.is_empty


def test_who_leaves_leaves_nothing_behind(watch: Watch, viewer: Viewer) -> None:
    job, other = job_at(0), Viewer(lambda: None)
    watch.join_job(viewer, job)
    watch.join_owner(other, found(1, job_at(0)))
    for one in (viewer, other, other):
        watch.leave(one)
    assert watch.is_empty
    assert asked(watch) == {}
    assert watch.question().params["owners"] == []


def test_an_owner_is_told_of_all_their_jobs_and_of_nobody_elses(
    watch: Watch, viewer: Viewer
) -> None:
    mine, theirs = job_at(0), job_at(0, user_id=uuid4())
    watch.join_job(Viewer(lambda: None), theirs)
    watch.join_owner(viewer, found(1, mine))
    assert read(viewer) == [mine]
    new = job_at(2)
    watch.answer(found(3, later(theirs, 2), new))
    assert read(viewer) == [new]


def test_an_owner_is_told_of_a_job_that_somebody_watches_already(
    watch: Watch, viewer: Viewer
) -> None:
    job = job_at(0)
    watch.join_job(Viewer(lambda: None), job)
    watch.answer(found(3, landed(job, 2)))
    watch.join_owner(viewer, found(1, job))
    assert read(viewer) == [landed(job, 2)]


def test_the_next_question_reaches_back_to_what_every_owner_has_read(
    watch: Watch, viewer: Viewer
) -> None:
    watch.join_owner(viewer, found(5))
    watch.question()
    watch.answer(found(9))
    watch.join_owner(Viewer(lambda: None), found(7, owner=str(uuid4())))
    assert watch.question().params["since"] == at(7)


def test_a_job_of_an_owner_is_forgotten_when_no_question_would_find_it(
    watch: Watch, viewer: Viewer
) -> None:
    running, done = job_at(0), landed(job_at(0), 1)
    watch.join_owner(viewer, found(1, running, done))
    watch.answer(found(1 + OVERLAP - 0.1))
    assert set(asked(watch)) == {running.id, done.id}
    watch.answer(found(1 + OVERLAP))
    assert set(asked(watch)) == {running.id}


def test_when_the_process_ends_everybody_has_to_go(watch: Watch, viewer: Viewer) -> None:
    woken: list[int] = []
    other = Viewer(lambda: woken.append(1))
    watch.join_job(viewer, job_at(0, user_id=uuid4()))
    watch.join_owner(other, found(1))
    watch.send_all_away()
    assert (viewer.has_to_go, other.has_to_go, woken) == (True, True, [1])


def test_who_comes_while_the_answer_is_under_way_is_told_of_what_it_finds(
    watch: Watch, viewer: Viewer
) -> None:
    """The question did not name them, and what is known is not asked for again."""
    watch.join_job(Viewer(lambda: None), job := job_at(0, user_id=uuid4()))
    watch.question()
    owner = str(job.user_id)
    watch.join_owner(viewer, found(1, owner=owner))
    new = job_at(2, user_id=job.user_id)
    watch.answer(Changes(at(3), None, [Change(job.id, later(job, 2)), Change(new.id, new)]))
    assert read(viewer) == [later(job, 2), new]


def test_who_comes_while_the_answer_is_under_way_has_the_next_question_reach_back(
    watch: Watch, viewer: Viewer
) -> None:
    """However late the answer is: it was not about their jobs."""
    watch.join_owner(viewer, found(1))
    watch.question()
    watch.join_owner(Viewer(lambda: None), found(2, owner=str(uuid4())))
    watch.answer(found(2 + 2 * OVERLAP))
    assert watch.question().params["since"] == at(2)
    watch.answer(found(3 + 2 * OVERLAP))
    assert watch.question().params["since"] == at(3 + 2 * OVERLAP)
