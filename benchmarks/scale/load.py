"""Millions of jobs that have landed, each with its history, made within minutes."""

from hashlib import md5
from uuid import UUID

from benchmarks.scale.site import Site

OWNERS = 50_000
"""Who owns them, all equally many."""

SHOWN = 20
"""How many of the owners have their jobs in the empty table, too."""

STEP = 500_000

# A job each three seconds until now, which took two; one of 49 has failed. The id is one of
# version 7, as jobstate makes them.
FINISHED = """
insert into jobstate.jobs (
    id, user_id, job_type, task_name, queue, parameters, call, created_at, status, progress, result,
    attempt, publishes, published_at, started_at, attempt_started_at, progress_at, updated_at,
    completed_at, error_code, error_message
)
select
    cast(lpad(to_hex(cast(extract(epoch from at) * 1000 as bigint)), 12, '0') || '7'
        || substr(md5(cast(n as text)), 1, 3) || 'a' || substr(md5(cast(n as text)), 4, 15)
        as uuid),
    cast(md5(cast(n % {owners} as text)) as uuid), 'report ' || n % 10, 'shop.tasks.report',
    'celery',
    jsonb_build_object('year', 2026, 'number', n),
    jsonb_build_object('task_name', 'shop.tasks.report', 'queue', 'celery', 'message',
        jsonb_build_object('body', '[[2026, ' || n || '], {{}}, {{"queue": "celery"}}]',
        'followups', false, 'errbacks', false)),
    at, case when n % 49 = 0 then 'failed' else 'completed' end, 100,
    jsonb_build_object('rows', n), 1, 1, at, at, at, at, at + interval '2 s', at + interval '2 s',
    case when n % 49 = 0 then 'exception' end, case when n % 49 = 0 then 'No luck.' end
from generate_series({first}, {last}) as n,
    lateral (select now() - ({jobs} - n) * interval '3 s') as times (at)
where n % {owners} < {wanted}
"""

HISTORY = """
insert into jobstate.job_events (job_id, at, event, from_status, to_status, attempt)
select id, started_at, 'transition', before, after, 1
from jobstate.jobs
cross join lateral (values (null, 'queued'), ('queued', 'processing'), ('processing', status))
    as moves (before, after)
"""

INDEXES = """
select indexname, indexdef from pg_indexes
where schemaname = 'jobstate' and tablename in ('jobs', 'job_events') and indexname !~ 'pkey$'
"""


def owner(number: int) -> UUID:
    """Return one of the owners."""
    return UUID(md5(str(number).encode(), usedforsecurity=False).hexdigest())


def shown() -> list[UUID]:
    """Return the owners whose jobs are in both tables."""
    return [owner(number) for number in range(SHOWN)]


def load(site: Site, jobs: int, wanted: int = OWNERS) -> None:
    """Have jobs there that have landed, of so many of the owners, with their history."""
    indexes = site.plain.execute(INDEXES).fetchall()
    for name, _ in indexes:
        site.plain.execute(f"drop index jobstate.{name}".encode())
    site.plain.execute("set session_replication_role = replica")  # no triggers
    for first in range(0, jobs, STEP):
        told = {"owners": OWNERS, "wanted": wanted, "jobs": jobs}
        last = min(first + STEP, jobs) - 1
        site.plain.execute(FINISHED.format(first=first, last=last, **told).encode())
    site.plain.execute(HISTORY.encode())
    site.plain.execute("set session_replication_role = origin")
    for _, definition in indexes:
        site.plain.execute(definition.encode())
    site.plain.execute("vacuum analyze")
