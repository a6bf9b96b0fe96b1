"""Procrastinate: its queue is a table of the same Postgres."""

import os

import psycopg
from filling import serve
from procrastinate import App, PsycopgConnector

url = os.environ["BENCH_DATABASE"].replace("+psycopg", "")
app = App(connector=PsycopgConnector(conninfo=url))


@app.task(name="nothing", queue="bench")
def nothing(number: int) -> int:
    """Do nothing."""
    return number


def fill(_: str, number: int) -> None:
    """Enqueue so many jobs."""
    with app.open():
        for index in range(number):
            nothing.defer(number=index)


if __name__ == "__main__":
    with app.open(), psycopg.connect(url) as connection:
        found = connection.execute("select to_regclass('procrastinate_jobs')").fetchone()
        if found == (None,):
            app.schema_manager.apply_schema()
    serve(fill)
