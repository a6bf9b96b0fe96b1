"""The tables of jobstate with `jobs` partitioned by ranges of ids, which are ranges of time.

What docs/operations/scale.md plans, made from the tables as the migrations make them.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

INDEXES = """
select indexname, indexdef from pg_indexes
where schemaname = 'jobstate' and tablename = 'jobs' and indexname <> 'jobs_pkey'
"""

TRIGGERS = """
select pg_get_triggerdef(oid) from pg_trigger
where tgrelid = 'jobstate.jobs'::regclass and not tgisinternal
"""

REFERENCES = """
select format('alter table %s add %s', conrelid::regclass, pg_get_constraintdef(oid))
from pg_constraint where confrelid = 'jobstate.jobs'::regclass
"""

# What no two jobs may have: Postgres wants each unique index to contain the partition key.
CLAIMS = """
create table jobstate.claims (
    kind text, owner text, job_type text, key text, job_id uuid not null,
    primary key (kind, owner, job_type, key)
);
create index claims_job on jobstate.claims (job_id);
create function jobstate.claim() returns trigger language plpgsql as $$
begin
    if new.idempotency_key is not null then
        insert into jobstate.claims
        values ('key', new.user_id, new.job_type, new.idempotency_key, new.id)
        on conflict do nothing;
        if not found then
            return null;
        end if;
    end if;
    if new.retry_of is not null then
        insert into jobstate.claims values ('retry', '', '', new.retry_of, new.id)
        on conflict do nothing;
        if not found then
            delete from jobstate.claims where job_id = new.id;
            return null;
        end if;
    end if;
    return new;
end
$$;
create trigger jobs_claim before insert on jobstate.jobs
    for each row when (new.idempotency_key is not null or new.retry_of is not null)
    execute function jobstate.claim();
create function jobstate.unclaim() returns trigger language plpgsql as $$
begin
    delete from jobstate.claims
    where job_id = old.id and (tg_op = 'DELETE' or kind = 'retry');
    return null;
end
$$;
create trigger jobs_unclaim after delete on jobstate.jobs
    for each row when (old.idempotency_key is not null or old.retry_of is not null)
    execute function jobstate.unclaim();
create trigger jobs_unclaim_retry after update on jobstate.jobs
    for each row when (new.retry_of is not null and new.completed_at is not null)
    execute function jobstate.unclaim();
"""

DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}


def first_of(day: datetime) -> UUID:
    """Return the lowest id of version 7 that is made on a day."""
    return UUID(int=int(day.timestamp() * 1000) << 80)


def partition(connection: psycopg.Connection) -> None:
    """Partition the empty table of jobs by days; other ids have a partition of their own."""
    indexes = connection.execute(INDEXES).fetchall()
    others = [line for (line,) in connection.execute(TRIGGERS)]
    others += [line for (line,) in connection.execute(REFERENCES)]
    connection.execute(
        "create table jobstate.parted "
        "(like jobstate.jobs including defaults including constraints, "
        "primary key (id)) partition by range (id)"
    )
    connection.execute("drop table jobstate.jobs cascade")
    connection.execute("alter table jobstate.parted rename to jobs")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for name, day in DAYS.items():
        first, last = (first_of(midnight + timedelta(days=day + more)) for more in (0, 1))
        connection.execute(
            f"create table jobstate.{name} partition of jobstate.jobs "  # type: ignore[arg-type]
            f"for values from ('{first}') to ('{last}') with (fillfactor = 85)"
        )
    connection.execute("create table jobstate.others partition of jobstate.jobs default")
    for _, line in indexes:
        connection.execute(line.replace("UNIQUE ", ""))
    for line in others:
        connection.execute(line)
    connection.execute(CLAIMS)
