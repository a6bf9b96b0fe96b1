"""What may be in a file of customers, and what is said about the rest."""

from pathlib import Path

import psycopg
import pytest

import jobstate
from tasks.database import connect, create_tables
from tasks.imports import Customer, count, parse, rows, save

HEADER = b"name,email,country\n"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "customers.csv"
    path.write_bytes(content)
    return path


def row(**changes: str) -> dict[str, str]:
    return {"name": "Ada", "email": "ada@example.org", "country": "DE"} | changes


def test_a_good_row_becomes_a_customer() -> None:
    messy = row(name=" Ada Lovelace ", email="Ada@Example.org ", country="gb")
    assert parse(messy) == Customer("ada@example.org", "Ada Lovelace", "GB")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": " "}, "The name is empty"),
        ({"email": ""}, "'' is no e-mail address"),
        ({"email": "ada(at)example.org"}, "is no e-mail address"),
        ({"email": "ada@example"}, "is no e-mail address"),
        ({"email": "a b@example.org"}, "is no e-mail address"),
        ({"country": "Germany"}, "'Germany' is no country code"),
        ({"country": "ÄÖ"}, "is no country code"),
        ({"name": "A\0da"}, "There is a NUL character"),
        ({"more": "x"}, "more than three columns"),
    ],
)
def test_a_bad_row_is_refused_with_what_is_wrong(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        parse(row(**changes))
    assert "\0" not in str(refused.value)


def test_rows_come_with_the_number_of_their_line(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbf" + HEADER + b"Ada,a@b.de,DE\r\n\r\nBo,b@b.de\n")
    assert list(rows(path)) == [
        (2, {"name": "Ada", "email": "a@b.de", "country": "DE"}),
        (4, {"name": "Bo", "email": "b@b.de", "country": ""}),
    ]
    assert count(path) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "customers.csv is empty"),
        (HEADER, "customers.csv has no customers"),
        (b"a,b,c\n1,2,3\n", "starts with 'a,b,c', not with 'name,email,country'"),
        (HEADER + "Jörg,j@b.de,DE\n".encode("latin-1"), "is not UTF-8"),
        ("name,email,country\n".encode("utf-16"), "is not UTF-8"),
        (HEADER + b'"Ada,a@b.de,DE\n', "is not CSV"),
        (HEADER + b"A" * 200_000, "is not CSV"),
    ],
)
def test_a_file_that_is_no_list_of_customers_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(jobstate.JobFailed, match=message) as failed:
        count(written(tmp_path, content))
    assert failed.value.code == "input_invalid"


def test_an_error_at_the_end_is_found_before_anything_is_written(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER + b"Ada,a@b.de,DE\n" * 10_000 + b"\xff")
    with pytest.raises(jobstate.JobFailed, match="is not UTF-8"):
        count(path)


def test_saving_again_updates_and_adds_nothing(database_url: str) -> None:
    create_tables(database_url)
    with connect(database_url) as connection:
        save(connection, [Customer("b@b.de", "Bo", "DE"), Customer("a@b.de", "Ada", "DE")])
        save(connection, [Customer("a@b.de", "Ada", "GB")])
    with connect(database_url) as connection:
        found = connection.execute("select * from demo_customers order by email").fetchall()
    assert found == [("a@b.de", "Ada", "GB"), ("b@b.de", "Bo", "DE")]


def test_a_batch_is_saved_whole_or_not_at_all(database_url: str) -> None:
    create_tables(database_url)
    bad = Customer("b@b.de", "B\0", "DE")
    with connect(database_url) as connection:
        with pytest.raises(psycopg.DataError):
            save(connection, [Customer("a@b.de", "Ada", "DE"), bad])
        assert not connection.execute("select * from demo_customers").fetchall()
