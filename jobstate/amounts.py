"""How much is done: percentages and amounts of work, checked before they enter a row."""

from jobstate.errors import InvalidValueError
from jobstate.values import check_number


def check_progress(progress: float) -> int:
    """Return a percentage as it is stored: whole, rounded down.

    Raises:
        InvalidValueError: It is no number from 0 to 100.
    """
    number = check_number(progress, "progress")
    if not 0 <= number <= 100:  # noqa: PLR2004 - a percentage
        raise InvalidValueError(
            f"Progress {progress!r} is out of range: it is a percentage from 0 to 100. "
            "Pass current= and total= to have it worked out."
        )
    return int(number)


def check_amount(amount: float | None, name: str) -> float | None:
    """Return an amount of work, unchanged.

    Raises:
        InvalidValueError: It is no finite number, or negative.
    """
    if amount is None:
        return None
    if check_number(amount, name) < 0:
        raise InvalidValueError(
            f"The {name} {amount!r} is negative: work is counted upwards from 0. "
            "Pass how much is done, and how much there is."
        )
    return amount


def percent_of(current: float | None, total: float | None) -> int | None:
    """Work out the percentage done, or None where it cannot be known."""
    if current is None or not total:
        return None
    return int(min(100.0, 100.0 * current / total))
