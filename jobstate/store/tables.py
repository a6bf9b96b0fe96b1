"""The tables for SQLAlchemy, to join with your own. The migrations are the truth; a test compares.

These have user ids of type uuid in the schema ``jobstate``; `define` makes them for others.
"""

from dataclasses import dataclass

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Identity,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

_AT = DateTime(timezone=True)


@dataclass(frozen=True)
class Tables:
    """The tables of one schema."""

    jobs: Table
    assets: Table
    job_items: Table
    job_events: Table
    job_logs: Table
    workers: Table


def define(
    metadata: MetaData | None = None,
    *,
    schema: str = "jobstate",
    user_id: TypeEngine[object] | None = None,
) -> Tables:
    """Describe the tables, for a schema or a user id type of your own.

    Args:
        metadata: Where to put them; keep them out of the metadata that Alembic compares.
        schema: The schema they are in.
        user_id: The type of user ids: ``Uuid()``, ``BigInteger()`` or ``Text()``.
    """
    metadata = metadata if metadata is not None else MetaData()
    owner = user_id if user_id is not None else Uuid()

    def table(name: str, *columns: Column[object]) -> Table:
        return Table(name, metadata, *columns, schema=schema)

    return Tables(
        jobs=table(
            "jobs",
            Column("id", Uuid, primary_key=True),
            Column("user_id", owner, nullable=False),
            Column("job_type", Text, nullable=False),
            Column("task_name", Text),
            Column("queue", Text),
            Column("status", Text, nullable=False),
            Column("progress", SmallInteger, nullable=False),
            Column("progress_current", Double),
            Column("progress_total", Double),
            Column("progress_message", Text),
            Column("progress_at", _AT),
            Column("parameters", JSONB, nullable=False),
            Column("result", JSONB),
            Column("error_code", Text),
            Column("error_message", Text),
            Column("error_detail", JSONB),
            Column("items_succeeded", Integer, nullable=False),
            Column("items_failed", Integer, nullable=False),
            Column("items_skipped", Integer, nullable=False),
            Column("attempt", Integer, nullable=False),
            Column("worker_id", Uuid),
            Column("pid", Integer),
            Column("retries", Integer, nullable=False),
            Column("rescues", Integer, nullable=False),
            Column("retry_at", _AT),
            Column("eta", _AT),
            Column("expires_at", _AT),
            Column("deadline_at", _AT),
            Column("cancel_requested_at", _AT),
            Column("next_check_at", _AT),
            Column("message", JSONB),
            Column("published_at", _AT),
            Column("publishes", Integer, nullable=False),
            Column("followups_pending", Boolean, nullable=False),
            Column("idempotent", Boolean, nullable=False),
            Column("max_rescues", Integer),
            Column("keep_partial", Boolean, nullable=False),
            Column("no_progress", Double),
            Column("idempotency_key", Text),
            Column("parent_id", Uuid),
            Column("retry_of", Uuid),
            Column("call", JSONB),
            Column("only_items", ARRAY(Text)),
            Column("created_at", _AT, nullable=False),
            Column("started_at", _AT),
            Column("attempt_started_at", _AT),
            Column("updated_at", _AT, nullable=False),
            Column("completed_at", _AT),
        ),
        assets=table(
            "assets",
            Column("id", Uuid, primary_key=True),
            Column("job_id", Uuid, nullable=False),
            Column("user_id", owner, nullable=False),
            Column("attempt", Integer, nullable=False),
            Column("asset_type", Text, nullable=False),
            Column("url", Text, nullable=False),
            Column("storage_path", Text, nullable=False),
            Column("file_size", BigInteger, nullable=False),
            Column("content_type", Text),
            Column("sha256", Text),
            Column("created_at", _AT, nullable=False),
            Column("stored_at", _AT),
            Column("managed", Boolean, nullable=False),
            Column("next_check_at", _AT),
            Column("cleaned_at", _AT),
        ),
        job_items=table(
            "job_items",
            Column("job_id", Uuid, primary_key=True),
            Column("key", Text, primary_key=True),
            Column("attempt", Integer, nullable=False),
            Column("status", Text, nullable=False),
            Column("label", Text),
            Column("error_message", Text),
            Column("at", _AT, nullable=False),
        ),
        job_events=table(
            "job_events",
            Column("id", BigInteger, Identity(always=True), primary_key=True),
            Column("job_id", Uuid, nullable=False),
            Column("at", _AT, nullable=False),
            Column("event", Text, nullable=False),
            Column("from_status", Text),
            Column("to_status", Text),
            Column("attempt", Integer, nullable=False),
            Column("worker_id", Uuid),
            Column("error_code", Text),
            Column("detail", JSONB),
        ),
        job_logs=table(
            "job_logs",
            Column("id", BigInteger, Identity(always=True), primary_key=True),
            Column("job_id", Uuid, nullable=False),
            Column("attempt", Integer, nullable=False),
            Column("at", _AT, nullable=False),
            Column("level", Text, nullable=False),
            Column("logger", Text, nullable=False),
            Column("message", Text, nullable=False),
        ),
        workers=table(
            "workers",
            Column("id", Uuid, primary_key=True),
            Column("hostname", Text, nullable=False),
            Column("pid", Integer, nullable=False),
            Column("queues", ARRAY(Text), nullable=False),
            Column("setup", JSONB),
            Column("started_at", _AT, nullable=False),
            Column("heartbeat_at", _AT, nullable=False),
            Column("lease_until", _AT, nullable=False),
            Column("dead_at", _AT),
        ),
    )


_default = define()
jobs = _default.jobs
assets = _default.assets
job_items = _default.job_items
job_events = _default.job_events
job_logs = _default.job_logs
workers = _default.workers
