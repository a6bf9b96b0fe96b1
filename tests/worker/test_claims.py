"""Two copies of a message in one process: whatever they see of the row, one of them runs it."""

import os

import pytest

from jobstate import sweeping
from jobstate.attempts import Hold
from jobstate.celery.attempt import Attempt, is_running, running_attempt
from jobstate.celery.runtime import runtime_of
from tests.factories import hold_of, new_worker, take
from tests.worker.site import Site


@pytest.fixture
def hold(quiet_site: Site) -> Hold:
    """A job that this process has taken."""
    store = quiet_site.service.store
    job = quiet_site.store("returns")
    return hold_of(take(store, job.id, worker_id=new_worker(store), pid=os.getpid()).job)


def delivery(site: Site, hold: Hold) -> Attempt:
    return Attempt(runtime_of(site.app), site.read(hold.job_id), hold, followups=False)


def test_a_copy_does_not_run_what_another_thread_runs(quiet_site: Site, hold: Hold) -> None:
    first, copy = delivery(quiet_site, hold), delivery(quiet_site, hold)
    assert first.claim(taken=True)
    assert not copy.claim(taken=False)
    assert is_running(hold)
    assert running_attempt(hold.job_id) is first
    first.end()


def test_a_take_whose_answer_was_lost_is_known_for_ones_own(quiet_site: Site, hold: Hold) -> None:
    found = delivery(quiet_site, hold)
    assert found.claim(taken=False)
    found.end()


def test_a_copy_does_not_run_what_ended_and_could_not_land(quiet_site: Site, hold: Hold) -> None:
    """The keeper has seen that nobody runs it, and has not rescued it yet."""
    first, copy = delivery(quiet_site, hold), delivery(quiet_site, hold)
    assert first.claim(taken=True)
    first.begin()
    first.end()
    assert not is_running(hold)
    assert running_attempt(hold.job_id) is first
    assert not copy.claim(taken=False)


def test_nobody_claims_what_was_taken_away(quiet_site: Site, hold: Hold) -> None:
    quiet_site.service.store.run(sweeping.rescue(hold))
    assert not delivery(quiet_site, hold).claim(taken=False)
    assert not is_running(hold)
