"""The same call makes the same data."""

import csv
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from tasks import samples
from tasks.database import connect
from tasks.imports import parse, rows
from tasks.thumbnails import thumbnails


def test_orders_are_the_same_every_time_and_cover_every_month() -> None:
    made = list(samples.orders(5000))
    assert made == list(samples.orders(5000))
    assert len({number for number, *_ in made}) == 5000
    months = Counter((day.year, day.month) for _, day, *_ in made)
    assert len(months) == 34
    assert min(months.values()) > 100


def test_any_number_of_orders_can_be_made() -> None:
    assert not list(samples.orders(0))
    assert [day for _, day, *_ in samples.orders(1)] == [samples.FIRST_DAY]


def test_orders_are_put_in_place_of_those_before(database_url: str) -> None:
    samples.create_orders(database_url, 300)
    samples.create_orders(database_url, 200)
    with connect(database_url) as connection:
        found = connection.execute("select * from demo_orders order by id").fetchall()
    assert len(found) == 200
    assert found[0][:2] == (1, date(2024, 1, 1))


def test_images_are_the_same_every_time(tmp_path: Path) -> None:
    one, two = (samples.draw_images(tmp_path / name, 4) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert [path.suffix for path in one] == [".png", ".jpg", ".png", ".jpg"]


def test_the_last_image_alone_is_broken(tmp_path: Path) -> None:
    *good, broken = samples.draw_images(tmp_path, 3)
    for path in good:
        assert len(thumbnails(path)) == 3
        assert Image.open(path).size == (1600, 1200)
    with pytest.raises(ValueError, match="cannot be read"):
        thumbnails(broken)


def test_a_file_of_customers_has_as_many_bad_rows_as_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "new" / "customers.csv"
    samples.write_customers_csv(path, rows=400, bad=7, duplicates=3)

    made = [row for _, row in rows(path)]
    bad = [row for row in made if not is_good(row)]

    assert (len(made), len(bad)) == (400, 7)
    assert len({row["email"] for row in made if is_good(row)}) == 390


def test_a_file_of_customers_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        samples.write_customers_csv(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with (tmp_path / "one").open(newline="") as text:
        assert next(csv.reader(text)) == ["name", "email", "country"]


def is_good(row: dict[str, str]) -> bool:
    try:
        parse(row)
    except ValueError:
        return False
    return True
