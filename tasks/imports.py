"""Imports customers from a CSV file into the database."""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg

import jobstate
from tasks import files
from tasks.database import connect
from workers.app import app

BATCH = 100
HEADER = ["name", "email", "country"]
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
COUNTRY = re.compile(r"[A-Z]{2}")
UPSERT = """
insert into demo_customers (email, name, country) values (%s, %s, %s)
on conflict (email) do update set name = excluded.name, country = excluded.country
"""


class Customer(NamedTuple):
    """A row of `demo_customers`."""

    email: str
    name: str
    country: str


@app.task(base=jobstate.JobTask, bind=True, acks_late=True, job_type="import")
def import_customers(self: jobstate.JobTask, csv_path: str) -> dict[str, int]:
    """Writes the customers of a CSV file to the database, in batches.

    Each line is an item: a bad one is recorded and the others are imported, so the job lands
    partial. May run again: a customer who is there already is updated.
    """
    path = files.input_file(csv_path)
    total = count(path)
    lines: dict[str, int] = {}
    batch: list[Customer] = []
    with connect() as connection:
        for line, row in self.job.track(rows(path), total, message="Importing customers"):
            email = row["email"].strip().lower()
            if email in lines:
                self.job.skip(str(line), f"{email} is on line {lines[email]} already")
                continue
            with self.job.item(str(line)):
                batch.append(parse(row))
                lines[email] = line
            if len(batch) == BATCH:
                save(connection, batch)
                batch.clear()
        save(connection, batch)
    return {"imported": len(lines)}


def count(path: Path) -> int:
    """Counts the file's rows, and so reads it to its end before anything is written.

    Raises:
        JobFailed: `input_invalid`, as in `rows`, or when there are none.
    """
    total = sum(1 for _ in rows(path))
    if not total:
        raise invalid(path, "has no customers (one line for each is expected)")
    return total


def rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the rows below the header, each with the number of its line.

    Raises:
        JobFailed: `input_invalid`: the file as a whole cannot be a list of customers.
    """
    try:
        # -sig: spreadsheets put a byte order mark before the header.
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, restval="", restkey="more", strict=True)
            if reader.fieldnames is None:
                raise invalid(path, "is empty (a header and a line for each customer are expected)")
            if reader.fieldnames != HEADER:
                start = ",".join(reader.fieldnames)[:80]
                raise invalid(path, f"starts with {start!r}, not with {','.join(HEADER)!r}")
            for row in reader:
                yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise invalid(path, "is not UTF-8 (save it as “CSV UTF-8”)") from error
    except csv.Error as error:
        raise invalid(path, f"is not CSV ({error})") from error


def parse(row: dict[str, str]) -> Customer:
    """Checks one row.

    Raises:
        ValueError: Says what is wrong, and what is expected instead.
    """
    if "more" in row:
        raise ValueError("There are more than three columns. Put quotes around commas.")
    if any("\0" in value for value in row.values()):
        raise ValueError("There is a NUL character. Remove it.")
    name, email, country = (row[column].strip() for column in HEADER)
    if not name:
        raise ValueError("The name is empty. Fill it in.")
    if not EMAIL.fullmatch(email):
        raise ValueError(f"{email!r} is no e-mail address (like ada@example.org). Correct it.")
    if not COUNTRY.fullmatch(country.upper()):
        raise ValueError(f"{country!r} is no country code (two letters, like DE). Correct it.")
    return Customer(email.lower(), name, country.upper())


def save(connection: psycopg.Connection, customers: Iterable[Customer]) -> None:
    """Inserts or updates the customers in a transaction of their own."""
    with connection.transaction(), connection.cursor() as cursor:
        # In one order, so that two imports at once cannot wait for each other in a circle.
        cursor.executemany(UPSERT, sorted(customers))


def invalid(path: Path, what: str) -> jobstate.JobFailed:
    """Returns the error for a file that cannot be imported at all."""
    return jobstate.JobFailed(
        f"{path.name} {what}. Nothing was imported: correct the file and try again.",
        code="input_invalid",
    )
