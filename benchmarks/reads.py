"""What a read costs, and a round of the sweeper: in microseconds."""

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from uuid import uuid4

from celery import Celery

from jobstate import JobService, Settings, attempts, sweeping
from jobstate.attempts import Policy
from jobstate.creation import NewJob
from jobstate.embedded import Postgres, Redis
from jobstate.sweeper import Sweeper

CALLS = 200
HELD = 200


def reads(postgres: Postgres, broker: Redis) -> dict[str, float]:
    """Let each kind of read have a turn, and again."""
    service, user_id = JobService(postgres.url), uuid4()
    jobs = [service.create_job(user_id, "report") for _ in range(60)]
    backends = {
        "AsyncResult.state, Redis": Celery(backend=broker.url, set_as_current=False).backend,
        "AsyncResult.state, database": Celery(
            backend=f"db+{postgres.url}", set_as_current=False
        ).backend,
    }
    name = str(jobs[0].id)
    acts: dict[str, Callable[[], object]] = {
        "get_job": lambda: service.get_job(name, user_id),
        "list_jobs of 50": lambda: service.list_jobs(user_id),
        "stats of an owner": lambda: service.stats(user_id),
    }
    for title, backend in backends.items():
        backend.store_result(name, 1, "SUCCESS")
        acts[title] = partial(_state, backend, name)
    took: dict[str, list[float]] = {title: [] for title in acts}
    for _ in range(CALLS):
        for title, act in acts.items():
            began = time.perf_counter()
            act()
            took[title].append((time.perf_counter() - began) * 1e6)
    service.close()
    return {title: median(times) for title, times in took.items()}


def sweeps(postgres: Postgres) -> dict[str, float]:
    """Return what a round costs that finds nothing, and what one rescue costs."""
    conf = {"jobstate_database_url": postgres.url, "jobstate_publish_grace": 3600}
    service = JobService.from_settings(Settings.load(conf))
    sweeper = Sweeper(service.store, service.settings, publish=lambda _: False)
    policy = Policy(idempotent=False, max_rescues=3, keep_partial=False, no_progress=None)
    worker_id, store = uuid4(), service.store
    store.run(sweeping.register_worker(worker_id, "here", os.getpid(), [], 3600))
    for _ in range(HELD):
        job = service.create(NewJob(user_id=uuid4(), job_type="report", message="{}"))
        store.run(attempts.take(job.id, 0, worker_id, os.getpid(), policy))
    idle = [_timed(sweeper.sweep) for _ in range(20)]
    store.run(sweeping.end_worker(worker_id))
    began = time.perf_counter()
    logging.getLogger("jobstate").setLevel(logging.ERROR)  # a line for each
    report = sweeper.sweep()
    rescued = report.failed + report.rescued
    assert rescued == HELD, report
    each = (time.perf_counter() - began) / rescued
    service.close()
    return {"a round that finds nothing": median(idle), "a rescue": each * 1e6}


def _state(backend: object, name: str) -> object:
    backend._cache.clear()  # type: ignore[attr-defined]  # or it would answer from memory
    return backend.get_state(name)  # type: ignore[attr-defined]


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1e6
