"""What a body reports to, with writes, clock and other threads that the test holds."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from jobstate import items, progress
from jobstate.items import ItemLedger, Outcome
from jobstate.progress import Progress, Report


class Desk:
    """A progress whose writes, clock and other thread the test holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.written: list[Report] = []
        self.works = True
        self.alarms: list[tuple[float, Callable[[], None]]] = []
        monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.begin()

    def begin(self, *, first: float = 0.0) -> None:
        """Begin anew, with a first write that waits."""
        self.progress = Progress(
            self._write, 0.5, lambda at, call: self.alarms.append((at, call)), first=first
        )

    def report(
        self,
        percent: float | None = None,
        current: float | None = None,
        total: float | None = None,
        message: object = None,
    ) -> None:
        """Report what is given, as a body would."""
        self.progress.remember(percent, current, total, message)  # type: ignore[arg-type]
        if not self.progress.pending:
            self.progress.hand_in()

    def pass_by(self, seconds: float) -> None:
        """Let time pass, and the other thread do what is due by then."""
        self.now += seconds
        due = [call for at, call in self.alarms if at <= self.now]
        self.alarms = [alarm for alarm in self.alarms if alarm[0] > self.now]
        for call in due:
            call()

    def _write(self, report: Report) -> bool:
        if self.works:
            self.written.append(report)
        return self.works


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


class Stop(Exception):  # noqa: N818 - an exception that ends a body and is no failure
    """Passes through items, as Celery's Retry does."""


class Book:
    """A ledger whose writes and clock the test holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.batches: list[dict[str, Outcome]] = []
        self.failure: BaseException | None = None
        monkeypatch.setattr(items, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.alarms: list[tuple[float, Callable[[], None]]] = []
        self.ledger = ItemLedger(self._write, 0.5, (Stop,), self._wake)

    def item(
        self,
        key: object,
        error: BaseException | None = None,
        label: object = None,
    ) -> None:
        """Run the block of an item, to its end or into an error."""
        with self.ledger.item(key, label):  # type: ignore[arg-type]
            if error:
                raise error

    def _wake(self, at: float, call: Callable[[], None]) -> None:
        self.alarms.append((at, call))

    def _write(self, batch: dict[str, Outcome]) -> None:
        if self.failure:
            raise self.failure
        self.batches.append(dict(batch))


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Book:
    return Book(monkeypatch)
