"""The parts of the export that need no database."""

import gzip
import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

import jobstate
from tasks import periods
from tasks.exports import COLUMNS, open_text, write_csv

ORDER = (1, date(2026, 2, 1), 'Ada, "the first"', "lamp", 2, Decimal("39.90"))


def test_a_csv_file_has_a_header_and_a_line_for_each_order() -> None:
    text = io.StringIO()
    assert write_csv(text, [ORDER, ORDER]) == 2
    header, *lines = text.getvalue().splitlines()
    assert header == ",".join(COLUMNS)
    assert lines == ['1,2026-02-01,"Ada, ""the first""",lamp,2,39.90'] * 2


def test_no_orders_make_a_header() -> None:
    text = io.StringIO()
    assert write_csv(text, []) == 0
    assert text.getvalue().splitlines() == [",".join(COLUMNS)]


def test_a_packed_file_holds_the_same_text(tmp_path: Path) -> None:
    for compress in (False, True):
        with open_text(tmp_path / str(compress), compress=compress) as text:
            text.write("Größe\r\n")
    plain = (tmp_path / "False").read_bytes()
    assert plain == "Größe\r\n".encode()
    assert gzip.decompress((tmp_path / "True").read_bytes()) == plain


def test_the_same_text_is_packed_into_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with open_text(tmp_path / name, compress=True) as text:
            text.write("id\n")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_period_ends_before_the_next_begins() -> None:
    assert periods.of_year(2026) == (date(2026, 1, 1), date(2027, 1, 1))
    assert periods.of_month(2026, 1) == (date(2026, 1, 1), date(2026, 2, 1))
    assert periods.of_month(2026, 2) == (date(2026, 2, 1), date(2026, 3, 1))
    assert periods.of_month(2026, 12) == (date(2026, 12, 1), date(2027, 1, 1))


@pytest.mark.parametrize("year", [-1, 0, 26, 1999, 2100, 10**30])
def test_a_year_out_of_range_is_refused(year: int) -> None:
    with pytest.raises(jobstate.JobFailed, match=f"Year {year} is out of range") as failed:
        periods.of_year(year)
    assert failed.value.code == "period_out_of_range"


@pytest.mark.parametrize("month", [-1, 0, 13])
def test_a_month_out_of_range_is_refused(month: int) -> None:
    with pytest.raises(jobstate.JobFailed, match=f"Month {month} is out of range") as failed:
        periods.of_month(2026, month)
    assert failed.value.code == "period_out_of_range"
