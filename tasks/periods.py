"""Years and months as the half-open ranges of dates that queries ask for."""

from datetime import date, timedelta

import jobstate

FIRST_YEAR, LAST_YEAR = 2000, 2099


def of_year(year: int) -> tuple[date, date]:
    """Returns the year's first day and the first day after it.

    Raises:
        JobFailed: `period_out_of_range`.
    """
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise jobstate.JobFailed(
            f"Year {year} is out of range (orders are kept from {FIRST_YEAR} to {LAST_YEAR}). "
            "Ask for a year in between.",
            code="period_out_of_range",
        )
    return date(year, 1, 1), date(year + 1, 1, 1)


def of_month(year: int, month: int) -> tuple[date, date]:
    """Returns the month's first day and the first day after it.

    Raises:
        JobFailed: `period_out_of_range`.
    """
    of_year(year)
    if month not in range(1, 13):
        raise jobstate.JobFailed(
            f"Month {month} is out of range (January is 1, December is 12). "
            "Ask for a month in between.",
            code="period_out_of_range",
        )
    first = date(year, month, 1)
    return first, (first + timedelta(days=31)).replace(day=1)
