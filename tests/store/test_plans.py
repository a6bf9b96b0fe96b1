"""No statement reads a large table whole: what it costs depends on what it finds.

The plans are those for parameters that are not known, as the server keeps them for a prepared
statement that comes often.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from jobstate import Settings
from jobstate.cleaning import due_assets
from jobstate.publishing import note_first_published
from jobstate.store.migrations import apply
from jobstate.store.queries import load_queries
from jobstate.sweeping import due

Connect = Callable[[], psycopg.Connection]
Plan = dict[str, Any]

LARGE = {"jobs", "job_events", "job_items", "job_logs", "assets"}

# Of live jobs, and of files that are not stored yet: all that is in these is few.
SMALL = {"jobs_due", "jobs_held", "jobs_retry", "assets_due"}

WHOLE = {"stats"}
"""Those that count everything, and say so."""

TRUNCATES = {"empty_tables"}

FILL = """
set session_replication_role = replica;
insert into jobstate.jobs (
    id, user_id, job_type, task_name, created_at, attempt_started_at, attempt, status, completed_at
)
select
    cast(lpad(to_hex(n), 12, '0') || '70000000000000000000' as uuid),
    cast(md5(cast(n % 500 as text)) as uuid), 'report ' || n % 10, 'report', at, at, 1,
    case when n % 50 = 0 then 'failed' else 'completed' end, at
from generate_series(1, 50000) as n,
    lateral (select now() - n * interval '1 minute') as times (at);
insert into jobstate.jobs (id, user_id, job_type, task_name, queue, message, next_check_at)
select gen_random_uuid(), gen_random_uuid(), 'report', 'report', 'celery', '{}', now()
from generate_series(1, 500);
insert into jobstate.job_events (job_id, event, to_status, attempt)
select id, 'transition', to_status, 1
from jobstate.jobs
cross join (values ('queued'), ('processing'), ('completed')) as moves (to_status);
insert into jobstate.job_items (job_id, key, attempt, status)
select id, 'key', 1, 'succeeded' from jobstate.jobs;
insert into jobstate.job_logs (job_id, attempt, at, level, logger, message)
select id, 1, now(), 'INFO', 'report', 'Done' from jobstate.jobs;
insert into jobstate.assets (
    id, job_id, user_id, attempt, asset_type, url, storage_path, file_size, stored_at, managed
)
select id, id, user_id, 1, 'csv', 'file:///' || id, id, 1, now(), true
from jobstate.jobs where completed_at is not null;
set session_replication_role = origin;
analyze jobstate.jobs, jobstate.job_events, jobstate.job_items, jobstate.job_logs, jobstate.assets;
"""


LEDGER = """
insert into jobstate.jobs (id, user_id, job_type)
select gen_random_uuid(), gen_random_uuid(), 'report' from generate_series(1, 2000);
set session_replication_role = replica;
insert into jobstate.job_items (job_id, key, attempt, status)
select id, 'key', 0, 'succeeded' from jobstate.jobs
union all
select one.id, 'key ' || n, 0, 'succeeded'
from (select id from jobstate.jobs limit 1) as one, generate_series(1, 20000) as n;
insert into jobstate.job_logs (job_id, attempt, at, level, logger, message)
select job_id, attempt, at, 'INFO', 'report', key from jobstate.job_items;
set session_replication_role = origin;
analyze jobstate.jobs, jobstate.job_items, jobstate.job_logs;
"""
"""A ledger and a log that are long, among others that are short."""

NOTED = """
insert into jobstate.jobs (id, user_id, job_type, publishes)
select gen_random_uuid(), gen_random_uuid(), 'report', 1 from generate_series(1, 20000);
analyze jobstate.jobs;
"""
UNNOTED = """
insert into jobstate.jobs (id, user_id, job_type, created_at, updated_at)
select gen_random_uuid(), gen_random_uuid(), 'report', now(), now() from generate_series(1, 500)
returning id;
"""


def numbered(statement: str) -> bytes:
    """Write the parameters as the server knows them, but for the length of a page."""
    paged = re.sub(r"cast\(%\(limit\)s as \w+\)", "100", statement)
    names: dict[str, int] = {}
    return re.sub(
        r"%\((\w+)\)s",
        lambda match: f"${names.setdefault(match[1], len(names) + 1)}",
        paged,
    ).encode()


def faults(node: Plan, *, stopped: bool = False) -> Iterator[str]:
    """Say which scans of a plan read all of a large table, or of an index of all of it.

    Not one that is `stopped` as soon as it has found so many rows, whichever.
    """
    index = node.get("Index Name")
    if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE:
        yield f"reads all of {node['Relation Name']}"
    stopped = stopped and "Filter" not in node
    if index and "Index Cond" not in node and index not in SMALL and not stopped:
        yield f"walks along {index}"
    for part in node.get("Plans", ()):
        yield from faults(part, stopped=node["Node Type"] == "Limit")


def plan_of(connection: psycopg.Connection, statement: bytes) -> Plan:
    row = connection.execute(b"explain (generic_plan, format json) " + statement).fetchone()
    assert row
    plan: Plan = row[0][0]["Plan"]
    return plan


@pytest.fixture
def jobs_url(database_url: str) -> str:
    """A database that nobody has to empty."""
    apply(Settings.for_database(database_url))
    return database_url


def test_no_statement_reads_a_large_table_whole(connect: Connect) -> None:
    connection = connect()
    connection.execute(FILL)
    statements = load_queries("jobstate")
    found = {
        name: told
        for name in sorted(statements.keys() - TRUNCATES)
        if (told := sorted(set(faults(plan_of(connection, numbered(statements[name]))))))
    }
    assert found.keys() == WHOLE, found


def steps(node: Plan, above: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield each index that is searched: what is above, the step, the index, the condition."""
    if "Index Name" in node:
        yield above, node["Node Type"], node["Index Name"], node.get("Index Cond", "")
    for part in node.get("Plans", ()):
        yield from steps(part, node["Node Type"])


@pytest.mark.parametrize(
    ("name", "index", "condition"),
    [
        ("get_items", "job_items_recorded", "(at >= "),
        ("get_logs", "job_logs_job", "(id > "),
    ],
)
def test_a_page_is_read_from_where_it_begins_however_long_the_ledger(
    connect: Connect, name: str, index: str, condition: str
) -> None:
    """Nothing before it is read, and nothing after it is sorted."""
    connection = connect()
    connection.execute(LEDGER)
    plan = plan_of(connection, numbered(load_queries("jobstate")[name]))
    (step,) = (step for step in steps(plan) if step[2] == index)
    assert step[:2] == ("Limit", "Index Scan")
    assert condition in step[3]


DUE = {
    "due": """
        insert into jobstate.jobs (id, user_id, job_type, next_check_at)
        select gen_random_uuid(), gen_random_uuid(), 'report', now() from generate_series(1, 300)
    """,
    "due_assets": """
        with job as (
            insert into jobstate.jobs (id, user_id, job_type)
            values (gen_random_uuid(), gen_random_uuid(), 'report') returning *
        )
        insert into jobstate.assets (
            id, job_id, user_id, attempt, asset_type, url, storage_path, file_size, managed,
            next_check_at
        )
        select gen_random_uuid(), id, user_id, 0, 'csv', 'a', 'a', 0, true, now()
        from job, generate_series(1, 300)
    """,
}


@pytest.mark.parametrize("name", DUE)
def test_a_batch_is_no_larger_where_its_plan_is_from_when_there_was_nothing(
    connect: Connect, name: str
) -> None:
    """A limit within an update holds for each row of it: a nested loop chose a batch for each."""
    connection = connect()
    connection.execute("vacuum analyze jobstate.jobs, jobstate.assets")
    connection.execute("set plan_cache_mode = force_generic_plan")
    settings = Settings(database_url="unused")
    asked = {"due": next(due(settings, 100)), "due_assets": due_assets(60, 100)}[name]
    statement = load_queries("jobstate")[name].encode()
    connection.execute(statement, asked.params, prepare=True)
    connection.execute(DUE[name])
    assert len(connection.execute(statement, asked.params, prepare=True).fetchall()) == 100


def test_jobs_are_noted_one_by_one_where_the_statistics_know_of_none_that_are_not(
    connect: Connect,
) -> None:
    """A plan for one such job compared each of the others with each id."""
    connection = connect()
    connection.execute(NOTED)
    ids = [row[0] for row in connection.execute(UNNOTED)]
    (noted,) = note_first_published(dict.fromkeys(ids[:2], 1.0))
    params = {**noted.params, "ids": sorted(ids), "ages": [1.0] * len(ids)}
    explained = b"explain (analyze, format json) "
    statement = explained + load_queries("jobstate")[noted.statement].encode()
    plan = json.dumps(connection.execute(statement, params).fetchone())
    assert "Rows Removed by Join Filter" not in plan
    left = "select count(*) from jobstate.jobs where publishes = 0"
    assert connection.execute(left).fetchone() == (0,)


def test_a_plan_that_reads_all_would_be_found(connect: Connect) -> None:
    """Or the rule above would prove nothing."""
    connection = connect()
    connection.execute("set enable_seqscan = off")
    plans = {
        b"select id from jobstate.jobs where error_code = $1": "reads all of jobs",
        b"select id from jobstate.jobs where id <> $1 order by id limit 9": "walks along jobs_pkey",
        b"select id from jobstate.jobs order by id limit 9": None,
        b"select count(*) from jobstate.jobs where user_id = $1": None,
    }
    for statement, fault in plans.items():
        assert list(faults(plan_of(connection, statement))) == ([fault] if fault else [])
