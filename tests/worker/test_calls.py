"""Calls without a worker: eager ones land as in a worker, direct ones are plain; installing."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery import Celery
from celery.exceptions import Ignore, Retry

import jobstate
from jobstate import ConfigurationError, Job, JobTask, current_job
from jobstate.embedded.ports import free_port
from tests.worker.database import execute_on
from tests.worker.process import ROOT
from tests.worker.site import OpenSite, Site


@dataclass(frozen=True)
class Eager:
    """A site, and one of the ways to run a task of it here and now."""

    site: Site
    call: Callable[..., Job]


def by_apply(site: Site, name: str, *args: Any, **kwargs: Any) -> Job:
    result = site.task(name).apply(args, kwargs, user_id=site.user_id)
    return site.read(result.id)


def by_apply_async(site: Site, name: str, *args: Any, **kwargs: Any) -> Job:
    result = site.task(name).apply_async(args, kwargs, user_id=site.user_id)
    return site.read(result.id)


def by_enqueue(site: Site, name: str, *args: Any, **kwargs: Any) -> Job:
    return site.enqueue(name, *args, **kwargs)


WAYS = {
    "apply": (by_apply, {}),
    "always-eager": (by_apply_async, {"task_always_eager": True}),
    "enqueue": (by_enqueue, {"task_always_eager": True}),
}


@pytest.fixture(params=WAYS)
def eager(request: pytest.FixtureRequest, open_site: OpenSite) -> Iterator[Eager]:
    """A site without a worker, and a way to run a task here and now."""
    call, conf = WAYS[request.param]
    with open_site(**conf) as site, execute_on(site) as execute:
        yield Eager(site, partial(call, site))
        assert site.waiting() == []
        assert execute("select id from jobstate.workers where dead_at is null") == []


def test_an_eager_call_lands_as_in_a_worker(eager: Eager) -> None:
    job = eager.site.completed(eager.call("returns", {"rows": 3}))
    assert (job.result, job.parameters) == ({"rows": 3}, {"value": {"rows": 3}})
    assert (job.user_id, job.attempt) == (eager.site.user_id, 1)
    moves = [event.to_status for event in eager.site.history(job)]
    assert moves == ["queued", "processing", "completed"]
    assert current_job() is None


def test_an_eager_call_heeds_all_that_jobstate_is_told(open_site: OpenSite) -> None:
    with open_site(task_always_eager=True) as site:
        said = {"job_type": "report", "idempotency_key": "once", "deadline": 60}
        call = partial(site.task("counts_runs").apply_async, user_id=site.user_id, **said)
        job = site.completed(call().id)
        assert (job.job_type, job.idempotency_key) == ("report", "once")
        assert job.deadline_at is not None
        assert call().id == str(job.id)
        assert site.gates.notes(f"ran:{job.id}") == [1]


def test_an_eager_failure_lands_as_in_a_worker(eager: Eager) -> None:
    eager.site.failed(eager.call("raises", "no"), "exception", "no")
    eager.site.failed(
        eager.call("fails", "Too poor.", "out_of_credit"), "out_of_credit", "Too poor."
    )
    eager.site.failed(eager.call("returns_text", "nul"), "exception", "There is a NUL")
    eager.site.failed(eager.call("ignores"), "rejected", "The task gave the job up.")


def test_an_eager_retry_is_another_attempt(eager: Eager) -> None:
    job = eager.site.completed(eager.call("retries", 2))
    assert (job.result, job.attempt, job.retries) == ([3, 2], 3, 2)
    retried = [event for event in eager.site.history(job) if event.event == "retry"]
    assert [(event.detail or {})["error"] for event in retried] == [
        "ConnectionError: attempt 1 failed",
        "ConnectionError: attempt 2 failed",
    ]
    job = eager.site.failed(eager.call("retries", 9), "retries_exhausted", "attempt 4 failed")
    assert job.attempt == 4
    eager.site.failed(eager.call("retries_without_a_cause"), "retries_exhausted", "Can't retry")


def test_an_eager_autoretry_is_another_attempt(eager: Eager) -> None:
    assert eager.site.completed(eager.call("autoretries", 1)).attempt == 2
    eager.site.failed(eager.call("autoretries", 9), "retries_exhausted", "2")


def test_a_job_that_an_eager_one_starts_eagerly_is_its_child(eager: Eager) -> None:
    parent = eager.site.completed(eager.call("enqueues", "apply"))
    child = eager.site.completed(parent.result)
    assert (child.user_id, child.parent_id, child.result) == (eager.site.user_id, parent.id, 1)


def test_an_eager_replacement_is_a_part_of_the_body(quiet_site: Site) -> None:
    """Celery itself refuses one where every call is eager."""
    job = quiet_site.completed(by_apply(quiet_site, "is_replaced", "the replacement's"))
    assert (job.result, job.attempt) == ("the replacement's", 1)


def test_an_eager_job_that_fails_before_its_body_lands(eager: Eager) -> None:
    eager.site.failed(eager.call("never_starts"), "exception", "not today")


def test_an_eager_job_cannot_be_requeued_and_is_rejected(eager: Eager) -> None:
    """There is no broker to give it back to, and nobody would run it."""
    for requeue in (True, False):
        job = eager.call("rejects", requeue=requeue)
        eager.site.failed(job, "rejected", "The task gave the job up.")


def test_an_eager_exception_that_propagates_has_landed_its_job(open_site: OpenSite) -> None:
    with open_site(task_always_eager=True, task_eager_propagates=True) as site:
        task_id = uuid4()
        with pytest.raises(ValueError, match="no"):
            site.enqueue_with("raises", "no", task_id=task_id)
        site.failed(task_id, "exception", "no")
        with pytest.raises(RuntimeError, match="not today"):
            site.enqueue_with("never_starts", task_id=(broken := uuid4()))
        site.failed(broken, "exception", "not today")
        with pytest.raises(Retry):
            site.enqueue_with("retries", 1, task_id=(retried := uuid4()))
        site.failed(retried, "exception", "Retry in 0s: ConnectionError(")
        assert site.completed(site.enqueue("returns", 1)).result == 1


def test_system_exit_in_an_eager_body_lands_its_job(quiet_site: Site) -> None:
    task_id = str(uuid4())
    with pytest.raises(SystemExit):
        quiet_site.task("ends_its_process").apply(("exit",), task_id=task_id)
    quiet_site.failed(task_id, "exception", "3")
    assert current_job() is None


def test_a_direct_call_is_a_plain_function_call(quiet_site: Site) -> None:
    assert quiet_site.task("returns")(7) == 7
    with pytest.raises(ValueError, match="no"):
        quiet_site.task("raises")("no")
    with pytest.raises(RuntimeError, match="has no job here: it was called directly"):
        quiet_site.task("counts_runs")()
    with pytest.raises(Ignore):
        quiet_site.task("ignores")()
    assert quiet_site.service.stats().by_type == {}


def test_a_body_may_call_a_task_directly_even_its_own(quiet_site: Site) -> None:
    job = quiet_site.completed(by_apply(quiet_site, "calls_itself", 3))
    assert (job.result, job.attempt) == (6, 1)
    assert quiet_site.service.stats().by_type.keys() == {job.job_type}


def test_a_task_that_is_not_tracked_is_a_plain_task(quiet_site: Site) -> None:
    assert quiet_site.task("is_plain").apply(("here",)).successful()
    assert quiet_site.gates.read("plain:here") is True
    quiet_site.task("is_plain").apply_async(("there",), user_id=quiet_site.user_id)
    (message,) = quiet_site.waiting()
    assert "jobstate-after" not in message
    assert quiet_site.service.stats().by_type == {}


def test_task_cls_makes_every_task_a_job_but_celerys_own(quiet_site: Site) -> None:
    app = Celery("whole", broker=quiet_site.conf["broker_url"], task_cls=JobTask)
    app.conf.jobstate_database_url = quiet_site.conf["database_url"]
    jobs = jobstate.install(app)

    @app.task(name="whole.plain")
    def plain(number: int) -> int:
        return number + 1

    assert plain.enqueue(1, user_id=quiet_site.user_id).job_type == "whole.plain"
    assert app.tasks["celery.backend_cleanup"].apply().successful()
    assert app.tasks["celery.accumulate"].apply((1, 2)).get() == (1, 2)
    assert jobs.service.stats().by_type.keys() == {"whole.plain"}
    jobs.service.close()
    app.close()


def test_installing_twice_is_the_same(quiet_site: Site) -> None:
    again = jobstate.install(quiet_site.app)
    assert again.service is quiet_site.jobs.service
    assert again.settings is quiet_site.jobs.settings
    assert again.app is quiet_site.app
    assert len(quiet_site.app.steps["worker"]) == 1
    quiet_site.completed(by_apply(quiet_site, "returns"))


def test_installing_lists_everything_that_is_wrong() -> None:
    app = Celery("wrong", broker="memory://")
    app.conf.update(jobstate_lease=-1, jobstate_colour="blue")
    with pytest.raises(ConfigurationError) as refused:
        jobstate.install(app)
    for name in ("jobstate_lease", "jobstate_colour", "jobstate_database_url"):
        assert name in str(refused.value)


def test_celerys_own_retry_of_lost_workers_is_refused() -> None:
    app = Celery("wrong", broker="memory://")
    app.conf.update(task_retry_on_worker_lost=True, jobstate_database_url="postgresql:///none")
    with pytest.raises(ConfigurationError, match="task_retry_on_worker_lost is on"):
        jobstate.install(app)


def test_a_job_task_needs_an_app_with_jobstate() -> None:
    app = Celery("bare", broker="memory://")

    @app.task(base=JobTask, name="bare.task")
    def task() -> None:
        """Never run."""

    for call in (task.delay, task.apply, lambda: task.enqueue(user_id=uuid4())):
        with pytest.raises(ConfigurationError, match=r"jobstate is not installed"):
            call()


def test_the_current_job_is_what_the_row_says(quiet_site: Site) -> None:
    parent = quiet_site.enqueue("returns")
    child = quiet_site.store("describes_itself", 5, parent_id=parent.id)
    told = quiet_site.task("describes_itself").apply((5,), task_id=str(child.id)).get()
    assert told == {
        "id": child.id,
        "user_id": quiet_site.user_id,
        "job_type": "description",
        "parameters": {"value": 5},
        "attempt": 1,
        "retries": 0,
        "parent_id": parent.id,
        "shown": f"<CurrentJob {child.id} attempt 1>",
    }


def test_an_id_that_nobody_knows_is_not_run_eagerly_twice(quiet_site: Site) -> None:
    task_id = str(UUID(int=7))
    for _ in range(2):
        quiet_site.task("counts_runs").apply((), task_id=task_id, user_id=quiet_site.user_id)
    quiet_site.completed(task_id)
    assert quiet_site.gates.notes(f"ran:{task_id}") == [1]


def test_importing_jobstate_connects_nothing() -> None:
    code = (
        "import jobstate, sys; from celery import signals;"
        "connected = [s for s in vars(signals).values() if 'jobstate' in"
        " str(getattr(s, 'receivers', ''))]; sys.exit(len(connected))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=False)
    assert done.returncode == 0


def test_nothing_is_enqueued_while_the_database_is_away() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    site = Site(f"postgresql://{nowhere}/none", f"redis://{nowhere}/0")
    with site, pytest.raises(jobstate.StoreUnavailable):
        site.enqueue("returns")
