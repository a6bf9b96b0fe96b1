"""The example's own tables, in the same Postgres that keeps the jobs."""

import psycopg

from workers.app import app

TABLES = """
create table if not exists demo_orders (
    id integer primary key,
    placed_on date not null,
    customer text not null,
    product text not null,
    quantity integer not null check (quantity > 0),
    unit_price numeric(10, 2) not null check (unit_price > 0)
);
create index if not exists demo_orders_in_order on demo_orders (placed_on, id);
create table if not exists demo_customers (
    email text primary key,
    name text not null,
    country text not null
);
"""


def connect(url: str | None = None) -> psycopg.Connection:
    """Opens a connection to the given database, or to the one that the app is set to.

    A task opens its own and closes it: a pooled connection must not cross a worker's fork.
    """
    url = url or str(app.conf.jobstate_database_url)
    # The scheme names SQLAlchemy's driver, which libpq does not know.
    url = url.replace("postgresql+psycopg://", "postgresql://", 1)
    return psycopg.connect(url, connect_timeout=5, application_name="jobstate-example")


def create_tables(url: str) -> None:
    """Creates `demo_orders` and `demo_customers` where they are missing."""
    with connect(url) as connection:
        connection.execute(TABLES)
