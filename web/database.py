"""The web app's own table: what was uploaded, by whom."""

from sqlalchemy import Connection, Engine, create_engine, text

from tasks.database import create_tables as create_tables_of_tasks
from workers.app import app

UPLOADS = """
create table if not exists demo_uploads (
    id uuid primary key,
    owner text not null,
    path text not null,
    bytes bigint not null,
    created_at timestamptz not null default now()
)
"""
INSERT = "insert into demo_uploads (id, owner, path, bytes) values (:id, :owner, :path, :bytes)"

engine: Engine = create_engine(str(app.conf.jobstate_database_url), pool_pre_ping=True)


def create_tables() -> None:
    """Creates what is missing of the example's tables."""
    create_tables_of_tasks(str(app.conf.jobstate_database_url))
    with engine.begin() as connection:
        connection.execute(text(UPLOADS))


def record_upload(connection: Connection, **columns: object) -> None:
    """Inserts a row for an upload, in the caller's transaction."""
    connection.execute(text(INSERT), columns)
