"""Progress reports, coalesced: a body may report a million times, the database hears of few."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from jobstate.values import check_amount, check_progress, mend_text, percent_of


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a job's progress; None where nothing was said."""

    percent: int | None = None
    current: float | None = None
    total: float | None = None
    message: str | None = None

    def params(self) -> dict[str, object]:
        """Return the report as the statements bind it."""
        return {
            "progress": self.percent,
            "current": self.current,
            "total": self.total,
            "message": self.message,
        }


PAUSE = 5.0
"""How long nothing is written after a write that failed, in seconds."""


class Progress:
    """Keeps the latest report, and writes it at most once in an interval.

    Args:
        write: Writes a report; whatever it raises leaves the body's call.
        interval: The shortest time between two writes, in seconds.
    """

    def __init__(self, write: Callable[[Report], None], interval: float) -> None:
        self._write = write
        self._interval = interval
        self._latest = Report()
        self._written = self._latest
        self._due_at = 0.0
        self._merging = Lock()
        self._writing = Lock()

    @property
    def unwritten(self) -> Report | None:
        """The latest report, unless it was written already; a landing takes it along."""
        return None if self._latest is self._written else self._latest

    def report(
        self,
        percent: float | None,
        current: float | None,
        total: float | None,
        message: str | None,
    ) -> None:
        """Remember what is not None, work out the percentage, and write if it is time.

        Raises:
            InvalidValueError: A number is negative, not finite or no number; nothing changes.
        """
        whole = None if percent is None else check_progress(percent)
        current = check_amount(current, "current amount")
        total = check_amount(total, "total amount")
        text = None if message is None else mend_text(str(message))
        with self._merging:
            self._latest = _merged(self._latest, Report(whole, current, total, text))
        if time.monotonic() >= self._due_at:
            self.flush()

    def flush(self) -> None:
        """Write the latest report, unless another thread is just writing."""
        if not self._writing.acquire(blocking=False):
            return
        try:
            report = self._latest
            if report is not self._written:
                # A write that fails may have taken long: the body is not to wait again at once.
                self._due_at = time.monotonic() + max(self._interval, PAUSE)
                self._write(report)
                self._due_at = time.monotonic() + self._interval
                self._written = report
        finally:
            self._writing.release()


def _merged(before: Report, said: Report) -> Report:
    current = before.current if said.current is None else said.current
    total = before.total if said.total is None else said.total
    counted = said.percent is None and (said.current is not None or said.total is not None)
    whole = percent_of(current, total) if counted else said.percent
    return Report(
        percent=before.percent if whole is None else whole,
        current=current,
        total=total,
        message=before.message if said.message is None else said.message,
    )
