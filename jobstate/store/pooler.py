"""Finds out whether a pooler stands before the database that changes a client's connection."""

from contextlib import ExitStack, closing

from psycopg import Connection
from sqlalchemy import NullPool, create_engine

from jobstate.settings import Settings
from jobstate.store.failures import translated
from jobstate.store.queries import load_queries
from jobstate.store.sync import engine_options, url_in

_CLIENTS = 4


def shares_connections(settings: Settings) -> bool:
    """Tell whether one process of the server has answered several clients that are connected.

    That is a pooler in transaction mode. On a busy one it may go unnoticed: other clients may get
    in between.

    Raises:
        StoreUnavailable: The database cannot be reached.
    """
    options = engine_options(settings)
    for name in ("pool_size", "max_overflow", "pool_pre_ping"):
        del options[name]
    engine = create_engine(url_in(settings), poolclass=NullPool, **options)
    statement = load_queries(settings.schema)["server_process"].encode()
    seen: set[int] = set()
    with translated(), ExitStack() as clients:
        for _ in range(_CLIENTS):
            client = clients.enter_context(closing(engine.raw_connection()))
            connection = client.driver_connection
            assert isinstance(connection, Connection)  # noqa: S101 - the engine's driver
            row = connection.execute(statement, prepare=False).fetchone()
            seen.update(row or ())
    return len(seen) < _CLIENTS
