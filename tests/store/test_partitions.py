"""The plan of docs/operations/scale.md: ids of version 7 are a partition key."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from jobstate.ids import new_id

Connect = Callable[[], psycopg.Connection]


def first_of(day: datetime) -> UUID:
    """Return the lowest id of version 7 that is made on a day."""
    return UUID(int=int(day.timestamp() * 1000) << 80)


def test_a_days_ids_are_one_range_and_a_look_up_reads_one_partition(connect: Connect) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    connection = connect()
    connection.execute(
        "create table jobstate.daily (like jobstate.jobs including defaults, primary key (id)) "
        "partition by range (id)"
    )
    for name, day in (("yesterday", -1), ("today", 0), ("tomorrow", 1)):
        first, last = (first_of(today + timedelta(days=day + more)) for more in (0, 1))
        connection.execute(
            f"create table jobstate.{name} partition of jobstate.daily "  # type: ignore[arg-type]
            f"for values from ('{first}') to ('{last}')"
        )
    connection.execute("create table jobstate.others partition of jobstate.daily default")
    ids = [new_id() for _ in range(100)]
    for job_id in ids:
        connection.execute(
            "insert into jobstate.daily (id, user_id, job_type) values (%s, %s, 'report')",
            (job_id, job_id),
        )
    held = connection.execute(
        "select distinct relname from jobstate.daily join pg_class on pg_class.oid = daily.tableoid"
    )
    assert {name for (name,) in held} <= {"today", "tomorrow"}
    plan = connection.execute("explain select * from jobstate.daily where id = %s", (ids[0],))
    told = "\n".join(line for (line,) in plan)
    assert " on today" in told or " on tomorrow" in told
    assert "yesterday" not in told
    assert "others" not in told
    connection.execute("drop table jobstate.daily")
