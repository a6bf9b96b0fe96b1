"""What a fate is, and where it can happen: one test for each, on each pool."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

RABBITMQ = "prefork, RabbitMQ"

COLUMNS = ("prefork", RABBITMQ, "threads", "solo", "gevent")
"""The pools, with Redis where no other broker is named."""

PREFORK = ("prefork", RABBITMQ)
REDIS = ("prefork", "threads", "solo", "gevent")

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class Fate:
    """One fate of a task: its name, the columns of the table where it can happen, and why."""

    name: str
    columns: tuple[str, ...]
    why: str


def fate(*columns: str, why: str = "") -> Callable[[Test], Test]:
    """Mark a test as that of a fate; on every pool, unless it says where, and why only there."""
    assert bool(columns) == bool(why), "a fate that is not everywhere says why"

    def mark(test: Test) -> Test:
        name = test.__name__.removeprefix("test_").replace("_", " ")
        test.fate = Fate(name, columns or COLUMNS, why)  # type: ignore[attr-defined]
        return test

    return mark


def pool_of(column: str) -> str:
    """Return Celery's name for the pool of a column."""
    return column.partition(",")[0]
