"""What a large table needs: space, vacuum, and a purge beside those who work."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import median, quantiles
from typing import Any

from benchmarks.scale.site import Site, timed
from jobstate import JobService

CALM = 30.0
"""How long others work before the purge, in seconds."""

PAUSE = 0.005
"""How long they rest after each job: they are to wait, not to take the machine."""

SIZES = """
select relname, pg_relation_size(oid) from pg_class
where relnamespace = 'jobstate'::regnamespace and relkind in ('r', 'i')
    and pg_relation_size(oid) > 1000000
union all
select 'toast of ' || relname, pg_relation_size(reltoastrelid) from pg_class
where relnamespace = 'jobstate'::regnamespace and relkind = 'r'
    and pg_relation_size(reltoastrelid) > 0
order by 2 desc
"""

GROWTH = """
select n_tup_upd, n_tup_hot_upd, pg_relation_size(relid), pg_indexes_size(relid)
from pg_stat_user_tables where relid = 'jobstate.jobs'::regclass
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

OLDEST = """
select extract(epoch from clock_timestamp() - completed_at)::float from jobstate.jobs
where id = (select id from jobstate.jobs order by id offset %s limit 1)
"""


def sizes(site: Site, jobs: int) -> dict[str, float]:
    """Return the bytes of each table and index, for one job."""
    return {name: round(size / jobs, 1) for name, size in site.plain.execute(SIZES)}


def updates(site: Site, number: int) -> dict[str, float]:
    """Report progress very often; return what it leaves behind, and what vacuum makes of it."""

    def look() -> tuple[Any, ...]:
        site.plain.execute("select pg_stat_force_next_flush()")
        row = site.plain.execute(GROWTH).fetchone()
        assert row
        return row

    before = look()
    took = timed(lambda: site.plain.execute(REPORT.format(number=number).encode()))
    total, hot, table, indexes = (now - then for now, then in zip(look(), before, strict=True))
    return {
        "updates": number,
        "per second": number / took,
        "heap-only": hot / total,
        "table grown by, bytes": table,
        "indexes grown by, bytes": indexes,
        "vacuum, s": timed(lambda: site.plain.execute("vacuum jobstate.jobs")),
    }


def purge(site: Site, number: int) -> dict[str, Any]:
    """Purge many jobs while others work; return how long those wait, and did before."""
    until = time.monotonic() + CALM
    calm = list(work(site, lambda: time.monotonic() > until))
    row = site.plain.execute(OLDEST, [number - 1]).fetchone()
    assert row
    began = time.monotonic()
    # Another process, or Python's own lock would be what the others wait for.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        purging = pool.submit(purge_in, site.url, row[0])
        busy = list(work(site, purging.done))
        purged = purging.result()
    took = time.monotonic() - began
    return {
        "purged": purged,
        "per second": purged / took,
        "before, us": spread(calm),
        "meanwhile, us": spread(busy),
        "vacuum, s": timed(lambda: site.plain.execute("vacuum jobstate.jobs")),
    }


def purge_in(url: str, age: float) -> int:
    """Purge what is so many seconds old."""
    service = JobService(url)
    try:
        return service.purge(age)
    finally:
        service.close()


def work(site: Site, is_over: Callable[[], bool]) -> Iterator[dict[str, float]]:
    """Let a job be enqueued, taken, read and landed again and again; yield the seconds of each."""
    while not is_over():
        took = {"enqueue": timed(site.enqueue), "take": timed(site.take)}
        job_id = site.held[-1].job_id
        took["get"] = timed(lambda job_id=job_id: site.service.get_job_internal(job_id))
        took["land"] = timed(site.land)
        yield took
        time.sleep(PAUSE)


def spread(took: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return the median, the 99th percentile and the longest of each, in microseconds."""
    told = {}
    for name in took[0]:
        values = [each[name] * 1e6 for each in took]
        told[name] = {
            "calls": len(values),
            "median": round(median(values)),
            "99 %": round(quantiles(values, n=100)[98]),
            "longest": round(max(values)),
        }
    return told
