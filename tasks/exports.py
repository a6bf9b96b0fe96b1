"""Exports a year's orders from the database to a CSV file."""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from psycopg import IsolationLevel

import jobstate
from tasks import files, periods
from tasks.database import connect
from workers.app import app

COLUMNS = ("id", "placed_on", "customer", "product", "quantity", "unit_price")
COUNT = "select count(*) from demo_orders where placed_on >= %s and placed_on < %s"
ORDERS = """
select id, placed_on, customer, product, quantity, unit_price
from demo_orders where placed_on >= %s and placed_on < %s order by placed_on, id
"""


@app.task(base=jobstate.JobTask, bind=True, acks_late=True, job_type="export")
def export_orders(self: jobstate.JobTask, year: int, *, compress: bool = False) -> dict[str, int]:
    """Writes the orders of a year to a CSV file and saves it as the asset "csv".

    Needs the same memory for ten orders as for ten million. May run again: each attempt has a
    file of its own.
    """
    period = periods.of_year(year)
    with files.scratch() as folder:
        path = folder / (f"orders-{year}.csv" + (".gz" if compress else ""))
        with connect() as connection, connection.cursor("orders") as orders:
            # Count and rows from one snapshot, so that the progress ends at exactly 100 %.
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            (total,) = next(connection.execute(COUNT, period))
            orders.itersize = 1000
            orders.execute(ORDERS, period)
            with open_text(path, compress=compress) as text:
                rows = write_csv(text, self.job.track(orders, total, message="Writing orders"))
        media_type = "application/gzip" if compress else "text/csv"
        self.job.save_asset("csv", path, content_type=media_type)
    return {"rows": rows}


def write_csv(text: TextIO, orders: Iterable[Sequence[object]]) -> int:
    """Writes a header and the orders; returns how many they were."""
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    rows = 0
    for rows, order in enumerate(orders, start=1):  # noqa: B007 - the last number is the answer
        writer.writerow(order)
    return rows


@contextmanager
def open_text(path: Path, *, compress: bool) -> Iterator[TextIO]:
    """Opens a text file for writing, packed with gzip if asked for."""
    with path.open("wb") as file:
        # No name and no time in the header: the name would be the temporary one, and the same
        # orders give the same bytes.
        raw = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if compress else file
        with io.TextIOWrapper(raw, encoding="utf-8", newline="") as text:
            yield text
