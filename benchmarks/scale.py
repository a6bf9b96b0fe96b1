"""Whether a large table is as fast as an empty one: ``python -m benchmarks.scale [JOBS]``.

Two databases of one server take turns: one with the live jobs alone, and one that also has millions
that have landed. The server does not wait for the disk: only ratios count here. Needs a gigabyte of
disk for each million, and frees it.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import UUID, uuid4

import psycopg

from jobstate import JobService, JobStatus, Settings, attempts, sweeping
from jobstate.attempts import Hold, Landing, Policy
from jobstate.creation import NewJob
from jobstate.embedded import Postgres
from jobstate.store.migrations import apply

LIVE = 10_000
OWNERS = 50_000
CALLS = 300
OWNED = 50
UPDATES = 1_000_000
PURGED = 1_000_000

SERVER = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "1GB",
    "maintenance_work_mem": "1GB",
    "autovacuum": "off",
}

FINISHED = """
insert into jobstate.jobs (
    id, user_id, job_type, task_name, queue, parameters, call, created_at, status, progress, result,
    attempt, publishes, published_at, started_at, attempt_started_at, progress_at, updated_at,
    completed_at, error_code, error_message
)
select
    -- An id of version 7, as jobstate makes them.
    cast(lpad(to_hex(cast(extract(epoch from at) * 1000 as bigint)), 12, '0') || '7'
        || substr(md5(cast(n as text)), 1, 3) || 'a' || substr(md5(cast(n as text)), 4, 15)
        as uuid),
    cast(md5(cast(n % {owners} as text)) as uuid), 'report ' || n % 10, 'shop.tasks.report',
    'celery',
    jsonb_build_object('year', 2026, 'number', n),
    jsonb_build_object('task_name', 'shop.tasks.report', 'queue', 'celery', 'message',
        jsonb_build_object('body', '[[2026, ' || n || '], {{}}, {{"queue": "celery"}}]',
        'followups', false, 'errbacks', false)),
    at, case when n % 50 = 0 then 'failed' else 'completed' end, 100,
    jsonb_build_object('rows', n), 1, 1, at, at, at, at, at + interval '2 s', at + interval '2 s',
    case when n % 50 = 0 then 'exception' end, case when n % 50 = 0 then 'No luck.' end
from generate_series({first}, {last}) as n,
    lateral (select now() - interval '400 days' + n * interval '3 s') as times (at)
"""

HISTORY = """
insert into jobstate.job_events (job_id, at, event, from_status, to_status, attempt)
select id, started_at, 'transition', before, after, 1
from (select id, started_at from jobstate.jobs limit {number}) as oldest
cross join (values (null, 'queued'), ('queued', 'processing'), ('processing', 'completed'))
    as moves (before, after)
"""

# As many transactions as reports, or no dead row could be pruned on the way.
REPORT = """
do $$
declare
    live uuid[] := array(select id from jobstate.jobs where completed_at is null limit 100);
begin
    for n in 1..{number} loop
        update jobstate.jobs set progress_current = n, progress_at = clock_timestamp(),
            updated_at = clock_timestamp() where id = live[n % 100 + 1];
        commit;
    end loop;
end $$
"""


class Site:
    """One database, with a worker that takes jobs in it."""

    def __init__(self, server: Postgres, database: str) -> None:
        self.url = server.url.rpartition("/")[0] + f"/{database}"
        apply(Settings.for_database(self.url))
        conf = {"jobstate_database_url": self.url, "jobstate_publish_grace": 86_400}
        self.service = JobService.from_settings(Settings.load(conf))
        self.plain = psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)
        self.worker_id = uuid4()
        hold = sweeping.register_worker(self.worker_id, "here", os.getpid(), [], 86_400)
        self.service.store.run(hold)
        self.owner = UUID(bytes=bytes.fromhex("cfcd208495d565ef66e7dff9f98764da"))
        self.held: list[Hold] = []

    def enqueue(self, number: int) -> list[UUID]:
        """Add live jobs."""
        new = (
            NewJob(user_id=self.owner if n < OWNED else uuid4(), job_type="report 1", message="{}")
            for n in range(number)
        )
        return [self.service.create(job).id for job in new]

    def take(self, job_id: UUID) -> Hold:
        """Take one, as a worker does."""
        policy = Policy(idempotent=True, max_rescues=3, keep_partial=False, no_progress=None)
        take = attempts.take(job_id, 0, self.worker_id, os.getpid(), policy)
        taking = self.service.store.run(take)
        assert taking is not None
        assert taking.done
        return Hold(job_id, 1, self.worker_id, os.getpid())

    def land(self, hold: Hold) -> None:
        """Land it."""
        landing = attempts.land(hold, Landing(JobStatus.COMPLETED), None, followups=False)
        done, _ = self.service.store.run(landing)
        assert done

    def take_and_land(self, job_id: UUID) -> None:
        """Do both."""
        self.land(self.take(job_id))


def main() -> None:
    """Measure everything once, and print it."""
    jobs = int(sys.argv[1]) if sys.argv[1:] else 10_000_000
    told = measure(jobs, print)
    Path(".benchmarks").mkdir(exist_ok=True)
    Path(".benchmarks/scale.json").write_text(json.dumps(told, indent=1))


def measure(jobs: int, tell: Callable[[str], object]) -> dict[str, Any]:
    """Return the ratios of a large table to an empty one, and what it needs."""
    with Postgres(settings=SERVER) as server:
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as plain:
            plain.execute("create database large")
        empty, large = Site(server, "jobstate"), Site(server, "large")
        began = time.monotonic()
        load(large, jobs)
        tell(f"{jobs:,} jobs made in {time.monotonic() - began:.0f} s")
        told: dict[str, Any] = {"jobs": jobs, "live": LIVE, "bytes": sizes(large, jobs)}
        tell(str(told["bytes"]))
        waiting = {site.url: site.enqueue(LIVE) for site in (empty, large)}
        for site in (empty, large):
            site.plain.execute("vacuum analyze")
        told["ratios"] = ratios(empty, large, waiting, tell)
        told["stats of everybody, s"] = timed(large.service.stats)
        tell(f"stats of everybody: {told['stats of everybody, s']:.2f} s")
        told["updates"] = updates(large, min(UPDATES, jobs))
        tell(str(told["updates"]))
        told["purge"] = purge(large, min(PURGED, jobs), waiting[large.url][-2000:])
        tell(str(told["purge"]))
        for site in (empty, large):
            site.service.close()
            site.plain.close()
        return told


def load(site: Site, jobs: int) -> None:
    """Have jobs there that have landed, the oldest million with their history."""
    indexes = site.plain.execute(
        "select indexname, indexdef from pg_indexes where schemaname = 'jobstate' "
        "and tablename = 'jobs' and indexname <> 'jobs_pkey'"
    ).fetchall()
    for name, _ in indexes:
        site.plain.execute(f"drop index jobstate.{name}".encode())
    site.plain.execute("set session_replication_role = replica")  # no triggers
    step = 500_000
    for first in range(0, jobs, step):
        last = min(first + step, jobs) - 1
        site.plain.execute(FINISHED.format(owners=OWNERS, first=first, last=last).encode())
    site.plain.execute(HISTORY.format(number=PURGED).encode())
    site.plain.execute("set session_replication_role = origin")
    for _, definition in indexes:
        site.plain.execute(definition.encode())


def sizes(site: Site, jobs: int) -> dict[str, float]:
    """Return the bytes of each table and index, for one job."""
    rows = site.plain.execute(
        "select relname, pg_relation_size(oid) from pg_class "
        "where relnamespace = 'jobstate'::regnamespace and relkind in ('r', 'i') "
        "and pg_relation_size(oid) > 1000000 order by 2 desc"
    ).fetchall()
    return {name: round(size / jobs, 1) for name, size in rows}


def ratios(
    empty: Site,
    large: Site,
    waiting: dict[str, list[UUID]],
    tell: Callable[[str], object],
) -> dict[str, dict[str, float]]:
    """Let both databases do the same by turns."""
    queues = {site.url: iter(waiting[site.url]) for site in (empty, large)}

    def takes(site: Site) -> None:
        site.held.append(site.take(next(queues[site.url])))

    found: dict[str, dict[str, float]] = {}
    acts: dict[str, Callable[[Site], object]] = {
        "get": lambda site: site.service.get_job_internal(waiting[site.url][-1]),
        "owner's list": lambda site: site.service.list_jobs(site.owner),
        "owner's list of one status": lambda site: site.service.list_jobs(
            site.owner, status="failed"
        ),
        "owner's stats": lambda site: site.service.stats(site.owner),
        "sweeper tick": lambda site: site.service.sweep(),
        "enqueue": lambda site: site.enqueue(1),
        "take": takes,
        "land": lambda site: site.land(site.held.pop()),
    }
    for name, act in acts.items():
        took: dict[str, list[float]] = {empty.url: [], large.url: []}
        for _ in range(CALLS):
            for site in (empty, large):
                took[site.url].append(timed(partial(act, site)))
        small, big = median(took[empty.url]), median(took[large.url])
        found[name] = {"empty, us": small * 1e6, "large, us": big * 1e6, "ratio": big / small}
        tell(f"{name}: {small * 1e6:,.0f} us, {big * 1e6:,.0f} us, ratio {big / small:.2f}")
    return found


def updates(site: Site, number: int) -> dict[str, float]:
    """Report progress very often; return what it leaves behind, and what vacuum makes of it."""
    figures = "select n_tup_hot_upd, n_tup_upd, pg_relation_size(relid), pg_indexes_size(relid) "
    source = "from pg_stat_user_tables where relid = 'jobstate.jobs'::regclass"
    site.plain.execute("select pg_stat_force_next_flush()")
    before = site.plain.execute((figures + source).encode()).fetchone()
    began = time.monotonic()
    site.plain.execute(REPORT.format(number=number).encode())
    took = time.monotonic() - began
    site.plain.execute("select pg_stat_force_next_flush()")
    after = site.plain.execute((figures + source).encode()).fetchone()
    assert before
    assert after
    hot, total, table, indexes = (now - then for now, then in zip(after, before, strict=True))
    vacuum = timed(lambda: site.plain.execute("vacuum jobstate.jobs"))
    return {
        "updates": number,
        "per second": number / took,
        "heap-only": hot / total,
        "table grown by, bytes": table,
        "indexes grown by, bytes": indexes,
        "vacuum, s": vacuum,
    }


def purge(site: Site, number: int, waiting: list[UUID]) -> dict[str, float]:
    """Purge many jobs while others take and land; return how long those wait."""

    def pairs(seconds: float) -> list[float]:
        took, ends_at = [], time.monotonic() + seconds
        while time.monotonic() < ends_at and waiting:
            job_id = waiting.pop()
            took.append(timed(partial(site.take_and_land, job_id)))
        return took

    calm = pairs(2.0)
    row = site.plain.execute(
        "select extract(epoch from clock_timestamp() - completed_at)::float from jobstate.jobs "
        "where completed_at is not null order by completed_at offset %s limit 1",
        (number - 1,),
    ).fetchone()
    assert row
    purged: list[int] = []
    began = time.monotonic()
    worker = threading.Thread(target=lambda: purged.append(site.service.purge(row[0])))
    worker.start()
    busy = []
    while worker.is_alive():
        busy += pairs(0.2)
        time.sleep(0.3)
    worker.join()
    took = time.monotonic() - began
    return {
        "purged": purged[0],
        "per second": purged[0] / took,
        "take and land, us": median(calm) * 1e6,
        "meanwhile, us": median(busy) * 1e6,
        "meanwhile, 99 %, us": quantiles(busy, n=100)[98] * 1e6,
        "meanwhile, longest, us": max(busy) * 1e6,
    }


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
