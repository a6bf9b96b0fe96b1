"""Progress reports, coalesced: a body may report a million times, the database hears of few."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, RLock
from weakref import ReferenceType, ref

from jobstate.amounts import check_amount, check_progress, percent_of
from jobstate.values import mend_text


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


class Loop:
    """A loop whose items are counted."""


Wake = Callable[[float, Callable[[], None]], None]
"""Has something called from another thread, at a time of `time.monotonic()`."""

AT_FIRST = 0.1
"""How long the first write of an attempt waits: a job that has ended by then needs none."""

PAUSE = 5.0
"""How long nothing is written after a write that failed, in seconds."""

_LONGEST_WRITE = 30.0
"""How long a landing waits for another thread's write, in seconds; later the fence refuses it."""

_PLAIN = frozenset({int, float})
UNKNOWN = math.nan
"""A total that is known no more."""

MOST = 2**53
"""Up to here a whole number is stored as it is."""


class Progress:
    """Keeps the latest report, and writes it at most once in an interval.

    Most calls only remember it: `pending` says that another thread will write what they said.
    A call that finds the interval over writes it itself, and so hears of the answer at once.

    Args:
        write: Writes a report; returns whether it could.
        interval: The shortest time between two writes, in seconds.
        wake: Has a report written that no later call of the body brings.
        first: How long nothing is written to begin with, in seconds: the landing of a job that
            ends within it brings the latest report.
    """

    def __init__(
        self,
        write: Callable[[Report], bool],
        interval: float,
        wake: Wake,
        *,
        first: float = 0.0,
    ) -> None:
        self._write = write
        self._interval = interval
        self._wake = wake
        self._percent: float | None = None
        self.current: float | None = None
        self.total: float | None = None
        self._message: str | None = None
        self.counted = False
        self._due_at = time.monotonic() + first
        self._closed = False
        self._loop: ReferenceType[Loop] | None = None
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what other threads were about to do: a process that was forked has none."""
        self.pending = False
        self._unsaid = False
        self._is_writing = False
        self._merging = Lock()
        # Reentrant, because a signal may end a write without its lock being given back.
        self._writing = RLock()

    def remember(
        self,
        percent: float | None = None,
        current: float | None = None,
        total: float | None = None,
        message: str | None = None,
    ) -> None:
        """Remember what is not None. Unless it is `pending` then, `hand_in` must follow.

        Raises:
            InvalidValueError: A number is negative, not finite or no number; nothing changes.
        """
        # A body's inner loop comes by here: plain numbers that make sense need no more than this.
        if percent is None:
            if (
                type(current) in _PLAIN
                and 0 <= current <= MOST  # type: ignore[operator]  # it is a number
                and (total is None or total is self.total)
                and (message is None or type(message) is str)
            ):
                self.current = current
                self.counted = True
                if message is not None:
                    self._message = message
                return
        elif (
            type(percent) in _PLAIN
            and 0 <= percent <= 100  # noqa: PLR2004 - a percentage
            and current is total is None
            and (message is None or type(message) is str)
        ):
            self._percent = percent
            self.counted = False
            if message is not None:
                self._message = message
            return
        self._merge(percent, current, total, message)

    def begin_loop(self, total: float | None, message: str | None) -> "Loop | None":
        """Count anew for a loop, unless one runs that counts: the outermost alone does.

        The loop that is returned ends with its last reference, however its body is left.
        """
        if self._loop is not None and self._loop() is not None:
            self.remember(message=message)
            return None
        self.remember(0, current=0, total=UNKNOWN if total is None else total, message=message)
        self.counted = True
        loop = Loop()
        self._loop = ref(loop)
        return loop

    def hand_in(self) -> None:
        """Write what was remembered if it is time, or see to it that it will be."""
        self._unsaid = True
        if time.monotonic() >= self._due_at:
            self.flush()
        else:
            self._have_it_written()

    def flush(self) -> None:
        """Write the latest report, unless another thread is just writing."""
        if not self._writing.acquire(blocking=False):
            return  # Whoever writes looks afterwards for what came meanwhile.
        try:
            if not self._closed and (self._unsaid or self.pending):
                self._write_latest()
        finally:
            self._writing.release()
        if self._unsaid:
            self._have_it_written()

    def say_again(self) -> None:
        """Have what is just being written written once more, after an interval."""
        self._unsaid = True

    def go_on(self) -> None:
        """Undo `stop`."""
        self._closed = False

    def stop(self) -> None:
        """Write no more from now on: nothing is `pending` again, so that the body can be told."""
        self._closed = True
        self._unsaid = self._unsaid or self.pending
        self.pending = False

    def close(self) -> Report | None:
        """Stop, and return what was not written, for the landing to take along."""
        self.stop()
        waited = self._writing.acquire(timeout=_LONGEST_WRITE)
        try:
            return self._latest() if self._unsaid else None
        finally:
            if waited:
                self._writing.release()

    def _write_latest(self) -> None:
        # A write that fails may have taken long: the body is not to wait again at once.
        self._due_at = time.monotonic() + max(self._interval, PAUSE)
        # First the flags: who reports from here on finds that nobody has promised to write.
        self._unsaid = self.pending = False
        written = False
        try:
            self._is_writing = True
            written = self._write(self._latest())
        finally:
            self._unsaid = self._unsaid or not written
            if written:
                self._due_at = time.monotonic() + self._interval
            self._is_writing = False

    def _have_it_written(self) -> None:
        # Only whoever writes knows when the next write is due, and looks for what came meanwhile.
        if self._closed or self.pending or self._is_writing:
            return
        self.pending = True
        try:
            self._wake(self._due_at, self._flush_late)
        except RuntimeError:  # The interpreter ends, and starts no more threads.
            self.pending = False

    def _flush_late(self) -> None:
        if self.pending:
            self._unsaid = True
            self.pending = False
            self.flush()

    def _merge(
        self,
        percent: float | None,
        current: float | None,
        total: float | None,
        message: str | None,
    ) -> None:
        percent = None if percent is None else check_progress(percent)
        current = check_amount(current, "current amount")
        total = total if total is UNKNOWN else check_amount(total, "total amount")
        # Text is mended when it is written; anything else may change until then.
        text = message if message is None or type(message) is str else str(message)
        with self._merging:
            if current is not None:
                self.current = current
            if total is not None:
                self.total = total
            if text is not None:
                self._message = text
            if percent is not None:
                self._percent = percent
                self.counted = False
            elif current is not None or total is not None:
                self.counted = True

    def _latest(self) -> Report:
        with self._merging:
            current, total, message = self.current, self.total, self._message
            known = None if total is UNKNOWN else total
            if self.counted and (whole := percent_of(current, known)) is not None:
                self._percent = whole
            text = None if message is None else mend_text(message)
            percent = None if self._percent is None else int(self._percent)
            return Report(percent, current, total, text)
