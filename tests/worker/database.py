"""The tests' own way into the database, past jobstate."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.worker.site import Site


@dataclass(frozen=True)
class Execute:
    """Runs a statement on a connection, and answers with its rows."""

    connection: psycopg.Connection[Any]

    def __call__(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement."""
        cursor = self.connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def execute_on(site: Site) -> Iterator[Execute]:
    """Speak to a site's database, as psql would."""
    url = site.conf["database_url"].replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        yield Execute(connection)


@contextmanager
def new_database(server_url: str, template: str) -> Iterator[str]:
    """A database like the template, dropped at the end."""
    name = f"worker_{uuid4().hex}"
    admin = server_url.replace("+psycopg", "")
    with psycopg.connect(admin, autocommit=True) as connection:
        create = sql.SQL("create database {} template {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield f"{server_url.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            drop = sql.SQL("drop database {} with (force)")
            connection.execute(drop.format(sql.Identifier(name)))
