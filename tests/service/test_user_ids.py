"""User ids are uuid, bigint or text, as was chosen once; another kind is a clear error."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from jobstate import InvalidValueError, JobService, NotOwner, OwnerRequired, Settings
from jobstate.store.migrations import UserIdType, apply

ADA = UUID("7f3e0000-0000-4000-8000-0000000000ad")
BOB = UUID("7f3e0000-0000-4000-8000-0000000000b0")

Open = Callable[[UserIdType], JobService]

# For each type: two users, other spellings of the first, and what is no such id.
KINDS: dict[UserIdType, tuple[Any, Any, list[Any], list[Any]]] = {
    "uuid": (
        ADA,
        BOB,
        [str(ADA), str(ADA).upper(), ADA.hex],
        [5, "5", "ada", "", "x" * 36, str(ADA) + "0"],
    ),
    "bigint": (7, -(2**63), ["7", " 7 "], [2**63, 10**30, "ada", "", "7.5", ADA, str(ADA)]),
    "text": ("auth0|ada", "auth0|Ada", [], ["a\0", "\ud800"]),
}


@pytest.fixture
def open_kind(open_jobs: Callable[..., JobService], database_url: str) -> Iterator[Open]:
    """Open a service on a database with user ids of this type."""

    def open_one(user_id_type: UserIdType) -> JobService:
        apply(Settings.for_database(database_url), user_id_type=user_id_type)
        return open_jobs(database_url)

    return open_one


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_id_of_the_chosen_type_owns_jobs(open_kind: Open, kind: UserIdType) -> None:
    ada, bob, spellings, _ = KINDS[kind]
    jobs = open_kind(kind)
    job = jobs.create_job(ada, "report", idempotency_key="may")
    assert job.user_id == ada
    assert type(job.user_id) is type(ada)
    for user in (ada, *spellings):
        assert jobs.get_job(job.id, user) == job
        assert jobs.list_jobs(user).items == [job]
        assert jobs.create_job(user, "report", idempotency_key="may") == job
        assert jobs.create_asset(job.id, user, "csv", "u", "p", 9).user_id == ada
        assert len(jobs.get_job_assets(job.id, user)) == 1 + [ada, *spellings].index(user)
        assert jobs.get_job_items(job.id, user) == []
        assert len(jobs.get_job_events(job.id, user)) == 1
        assert sum(jobs.stats(user).by_status.values()) == 1
    with pytest.raises(NotOwner):
        jobs.get_job(job.id, bob)
    assert jobs.create_job(bob, "report").user_id == bob


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_id_that_does_not_fit_is_an_invalid_value(open_kind: Open, kind: UserIdType) -> None:
    ada, *_, wrong = KINDS[kind]
    jobs = open_kind(kind)
    job = jobs.create_job(ada, "report")
    for user in (*wrong, True, 7.0, b"7", [ada]):
        for call in (
            lambda user=user: jobs.create_job(user, "report"),
            lambda user=user: jobs.create_job(user, "report", job_id=job.id),
            lambda user=user: jobs.get_job(job.id, user),
            lambda user=user: jobs.list_jobs(user),
            lambda user=user: jobs.get_job_assets(job.id, user),
            lambda user=user: jobs.get_job_events(job.id, user),
            lambda user=user: jobs.get_job_items(job.id, user),
            lambda user=user: jobs.create_asset(job.id, user, "csv", "u", "p", 9),
            lambda user=user: jobs.stats(user),
            lambda user=user: jobs.wait(job.id, user, 0),
        ):
            with pytest.raises(InvalidValueError):
                call()
    assert sum(jobs.stats().by_status.values()) == 1
    with pytest.raises(OwnerRequired):
        jobs.create_job(None, "report")


def test_a_number_as_text_is_an_owner_where_ids_are_text(open_kind: Open) -> None:
    jobs = open_kind("text")
    job = jobs.create_job(7, "report")
    assert job.user_id == "7"
    assert jobs.get_job(job.id, 7) == jobs.get_job(job.id, "7") == job
    with pytest.raises(NotOwner):
        jobs.get_job(job.id, "07")


def test_what_looks_like_a_statement_is_only_a_name(open_kind: Open) -> None:
    jobs = open_kind("text")
    name = "'; drop table jobstate.jobs; -- %(id)s {schema} :id"
    job = jobs.create_job(name, name, {name: name}, idempotency_key=name)
    assert jobs.get_job(job.id, name) == job
    assert jobs.list_jobs(name, job_type=name).items == [job]
