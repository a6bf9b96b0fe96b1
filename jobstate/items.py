"""The item ledger of a running job: outcomes are collected here and written in batches."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from jobstate.errors import InvalidValueError, JobCancelled, JobFailed, LeaseLost
from jobstate.states import ItemStatus
from jobstate.values import check_text, mend_text

BATCH = 1000
"""How many outcomes are written at once."""

MAX_KEY = 500
"""How long an item's key may be, in characters."""

Key = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item."""

    status: ItemStatus
    label: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """How many items of a job succeeded, failed, and were skipped."""

    succeeded: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """How many items were recorded."""
        return self.succeeded + self.failed + self.skipped


class ItemLedger:
    """Records outcomes, at most once in an interval or when a batch is full.

    The last outcome of a key wins.

    Args:
        write: Writes a batch; the outcomes are kept when it raises.
        interval: The shortest time between two writes, in seconds.
        passing: Exceptions that are no failure of an item, and leave its block.
    """

    def __init__(
        self,
        write: Callable[[dict[str, Outcome]], None],
        interval: float,
        passing: tuple[type[BaseException], ...],
    ) -> None:
        self._write = write
        self._interval = interval
        self._passing: tuple[type[BaseException], ...] = (
            JobCancelled,
            JobFailed,
            LeaseLost,
            *passing,
        )
        self._statuses: dict[str, ItemStatus] = {}
        self._counts: Counter[ItemStatus] = Counter()
        self._unwritten: dict[str, Outcome] = {}
        self._due_at = time.monotonic() + interval
        self._lock = Lock()

    @property
    def counts(self) -> ItemCounts:
        """How many items have which outcome, written or not."""
        return ItemCounts(
            succeeded=self._counts[ItemStatus.SUCCEEDED],
            failed=self._counts[ItemStatus.FAILED],
            skipped=self._counts[ItemStatus.SKIPPED],
        )

    @contextmanager
    def item(self, key: Key, label: str | None) -> Iterator[None]:
        """Record the block as an item: an exception is its failure, and is swallowed."""
        name = _name(key)
        text = None if label is None else mend_text(str(label))
        try:
            yield
        except self._passing:
            raise
        except Exception as error:  # noqa: BLE001 - any failure of an item is the item's
            message = mend_text(str(error) or type(error).__name__)
            self.record(name, Outcome(ItemStatus.FAILED, text, message))
        else:
            self.record(name, Outcome(ItemStatus.SUCCEEDED, text))

    def skip(self, key: Key, reason: str) -> None:
        """Record an item as skipped."""
        self.record(_name(key), Outcome(ItemStatus.SKIPPED, message=mend_text(str(reason))))

    def record(self, name: str, outcome: Outcome) -> None:
        """Remember an outcome, and write if it is time."""
        with self._lock:
            if (before := self._statuses.get(name)) is not None:
                self._counts[before] -= 1
            self._statuses[name] = outcome.status
            self._counts[outcome.status] += 1
            self._unwritten[name] = outcome
        if len(self._unwritten) >= BATCH or time.monotonic() >= self._due_at:
            self.flush()

    def flush(self) -> None:
        """Write every outcome that was not written yet."""
        with self._lock:
            batch, self._unwritten = self._unwritten, {}
            if not batch:
                return
            self._due_at = time.monotonic() + self._interval
            try:
                self._write(batch)
            except BaseException:
                self._unwritten = batch | self._unwritten
                raise


def _name(key: Key) -> str:
    if not isinstance(key, str | int | float | bool | None):
        raise InvalidValueError(
            f"An item's key is a {type(key).__name__}: it must be text, a number, a bool or None. "
            "Use the id of what is worked on."
        )
    # The driver writes lists of one type only, so a subclass of str becomes plain text.
    name = str.__str__(check_text(key, "item's key")) if isinstance(key, str) else json.dumps(key)
    if len(name) > MAX_KEY:
        raise InvalidValueError(
            f"An item's key has {len(name)} characters: at most {MAX_KEY} are stored. "
            "Use the id of what is worked on, and put the text into label=."
        )
    return name
