"""The item ledger of a running job: outcomes are collected here and written in batches."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import Lock

from jobstate.errors import InvalidValueError, JobCancelled, JobFailed, LeaseLost
from jobstate.states import ItemStatus
from jobstate.values import check_number, check_text, mend_text

BATCH = 1000
"""How many outcomes are written at once."""

MAX_KEY = 500
"""How long an item's key may be, in characters."""

PAUSE = 5.0
"""How long nothing is written after a write that failed, in seconds."""

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


class ItemKeys(frozenset[str]):
    """Keys of items as they are stored: as text. Asked for ``5``, it looks for ``"5"``."""

    __slots__ = ()

    def __contains__(self, key: object) -> bool:
        """Say whether there is an item with this key."""
        return super().__contains__(_name(key))  # type: ignore[arg-type]  # it is checked there


class ItemLedger:
    """Records outcomes, and writes them when a batch is full or an interval is over.

    The last outcome of a key wins.

    Args:
        write: Writes a batch; the outcomes are kept when it raises.
        interval: The shortest time between two writes of less than a batch, in seconds.
        passing: Exceptions that are no failure of an item, and leave its block.
        wake: Has outcomes written that no later call of the body brings.
    """

    def __init__(
        self,
        write: Callable[[dict[str, Outcome]], None],
        interval: float,
        passing: tuple[type[BaseException], ...],
        wake: Callable[[float, Callable[[], None]], None] = lambda _at, _call: None,
    ) -> None:
        self._write = write
        self._interval = interval
        self._passing: tuple[type[BaseException], ...] = (
            JobCancelled,
            JobFailed,
            LeaseLost,
            *passing,
        )
        self._wake = wake
        self.only: ItemKeys | None = None
        """The items that there are for this job, where it is not to do all."""
        self._carried: frozenset[str] = frozenset()
        self._statuses: dict[str, ItemStatus] = {}
        self._counts: Counter[ItemStatus] = Counter()
        self._due_at = time.monotonic() + interval
        self._paused_until = 0.0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Leave to the parent what a process that was forked has a copy of; it has no threads."""
        self._unwritten: dict[str, Outcome] = {}
        self._awaited = False
        self._lock = Lock()

    @property
    def counts(self) -> ItemCounts:
        """How many items have which outcome, written or not."""
        return ItemCounts(
            succeeded=self._counts[ItemStatus.SUCCEEDED],
            failed=self._counts[ItemStatus.FAILED],
            skipped=self._counts[ItemStatus.SKIPPED],
        )

    def carry_over(self, names: Iterable[str]) -> None:
        """Count what an earlier attempt has done, and what the ledger has already."""
        self._carried = frozenset(names)
        self._statuses = dict.fromkeys(self._carried, ItemStatus.SUCCEEDED)
        self._counts = Counter({ItemStatus.SUCCEEDED: len(self._carried)})

    @contextmanager
    def item(self, key: Key, label: str | None) -> Iterator[bool]:
        """Record the block as an item: an exception is its failure, and is swallowed.

        Yields whether the item is to be done. If not, nothing is recorded but a failure.
        """
        name = _name(key)
        todo = self._is_todo(name)
        text = None if label is None else mend_text(str(label))
        try:
            yield todo
        except self._passing:
            raise
        except Exception as error:  # noqa: BLE001 - any failure of an item is the item's
            self.record({name: Outcome(ItemStatus.FAILED, text, _text_of(error))})
        else:
            if todo:
                self.record({name: Outcome(ItemStatus.SUCCEEDED, text)})

    def skip(self, key: Key, reason: object) -> None:
        """Record an item as skipped."""
        self.record_all((), (), {key: reason})

    def record_all(
        self,
        succeeded: Iterable[Key],
        failed: Iterable[Key] | Mapping[Key, object],
        skipped: Iterable[Key] | Mapping[Key, object],
    ) -> None:
        """Record many items at once; of several outcomes of a key, a failure wins."""
        outcomes = {_name(key): Outcome(ItemStatus.SUCCEEDED) for key in succeeded}
        for status, given in ((ItemStatus.SKIPPED, skipped), (ItemStatus.FAILED, failed)):
            reasons = given if isinstance(given, Mapping) else dict.fromkeys(given)
            outcomes |= {
                _name(key): Outcome(status, message=None if reason is None else _text_of(reason))
                for key, reason in reasons.items()
            }
        self.record(
            {
                name: outcome
                for name, outcome in outcomes.items()
                if outcome.status is ItemStatus.FAILED or self._is_todo(name)
            }
        )

    def record(self, outcomes: Mapping[str, Outcome]) -> None:
        """Remember outcomes, and write if it is time."""
        with self._lock:
            for name, outcome in outcomes.items():
                if (before := self._statuses.get(name)) is not None:
                    self._counts[before] -= 1
                self._statuses[name] = outcome.status
                self._counts[outcome.status] += 1
                self._unwritten[name] = outcome
        now = time.monotonic()
        is_full = len(self._unwritten) >= BATCH and now >= self._paused_until
        if is_full or now >= self._due_at:
            self.flush()
        elif outcomes:
            self._have_it_written()

    def flush(self) -> None:
        """Write every outcome that was not written yet."""
        try:
            with self._lock:
                if self._unwritten:
                    self._write_all()
        except BaseException:
            self._have_it_written()
            raise

    def take_out(self) -> dict[str, Outcome]:
        """Return the outcomes that were not written yet, for somebody else to write."""
        with self._lock:
            taken, self._unwritten = self._unwritten, {}
            return taken

    def put_back(self, taken: Mapping[str, Outcome]) -> None:
        """Have outcomes written after all that were taken out."""
        with self._lock:
            self._unwritten = {**taken, **self._unwritten}

    def _write_all(self) -> None:
        # A write that fails may have taken long: the body is not to wait again at once.
        self._paused_until = self._due_at = time.monotonic() + max(self._interval, PAUSE)
        while self._unwritten:
            batch = dict(islice(self._unwritten.items(), BATCH))
            self._write(batch)
            for name in batch:
                del self._unwritten[name]
        self._due_at = time.monotonic() + self._interval
        self._paused_until = 0.0

    def _have_it_written(self) -> None:
        if not self._awaited:
            self._awaited = True
            try:
                self._wake(self._due_at, self._flush_late)
            except RuntimeError:  # The interpreter ends, and starts no more threads.
                self._awaited = False

    def _flush_late(self) -> None:
        self._awaited = False
        self.flush()

    def _is_todo(self, name: str) -> bool:
        return name not in self._carried and (
            self.only is None or frozenset.__contains__(self.only, name)
        )


def _text_of(reason: object) -> str:
    try:
        return mend_text(str(reason) or type(reason).__name__)
    except Exception:  # noqa: BLE001 - an item whose error cannot be told has failed all the same
        return type(reason).__name__


def _name(key: Key) -> str:
    if not isinstance(key, str | int | float | bool | None):
        raise InvalidValueError(
            f"An item's key is a {type(key).__name__}: it must be text, a number, a bool or None. "
            "Use the id of what is worked on."
        )
    # The driver writes lists of one type only, so a subclass of str becomes plain text.
    if isinstance(key, str):
        name = str.__str__(check_text(key, "item's key"))
    elif isinstance(key, float):
        name = json.dumps(check_number(key, "item's key"))
    else:
        name = _digits(key)
    if len(name) > MAX_KEY:
        raise InvalidValueError(
            f"An item's key has {len(name)} characters: at most {MAX_KEY} are stored. "
            "Use the id of what is worked on, and put the text into label=."
        )
    return name


def _digits(key: int | None) -> str:
    try:
        return json.dumps(key)
    except ValueError:
        raise InvalidValueError(
            "An item's key has too many digits: Python does not write such a number as text. "
            "Use the id of what is worked on."
        ) from None
