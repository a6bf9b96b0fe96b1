"""A loop that reports how far it is."""

import math
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sized
from contextlib import suppress
from typing import Generic, TypeVar, cast

from jobstate.amounts import check_amount
from jobstate.progress import Loop, Progress

T = TypeVar("T")


class Track(Generic[T]):
    """Wraps an iterable like tqdm does: iterate over it once, with ``for`` or ``async for``.

    An item counts as done when the next one is asked for. A loop that is left early keeps the
    number that it has reached.
    """

    def __init__(
        self,
        progress: Progress,
        report: Callable[[], None],
        iterable: Iterable[T] | AsyncIterable[T],
        total: float | None,
        message: str | None,
    ) -> None:
        self._progress = progress
        self._report = report
        self._iterable = iterable
        self._message = message
        self._counts = False
        if total is None and isinstance(iterable, Sized):
            with suppress(TypeError):  # Some have a length only at times.
                total = len(iterable)
        self._total = _known(total)

    @property
    def total(self) -> float | None:
        """How many items there are; may be set when that turns out to be different."""
        return self._total

    @total.setter
    def total(self, total: float | None) -> None:
        self._total = _known(total)
        if self._counts:
            self._progress.remember(total=self._total)

    def __len__(self) -> int:
        """Return the total, where it is known."""
        return len(cast("Sized", self._iterable)) if self._total is None else int(self._total)

    def __bool__(self) -> bool:
        """Say whether there is anything to do, as far as that is known."""
        return self._total is None or self._total > 0

    def __iter__(self) -> Iterator[T]:
        """Yield the items, and report after each."""
        progress, report = self._progress, self._report
        loop = self._begin()
        for done, item in enumerate(cast("Iterable[T]", self._iterable), start=1):
            yield item
            if loop is not None:
                progress.current = done
                progress.counted = True
            if not progress.pending:
                report()

    def __aiter__(self) -> AsyncIterator[T]:
        """Yield the items, and report after each."""
        return _AsyncSteps(self, aiter(cast("AsyncIterable[T]", self._iterable)))

    def _count(self, done: int | None) -> None:
        if done is not None:
            self._progress.remember(current=done)
        if not self._progress.pending:
            self._report()

    def _begin(self) -> Loop | None:
        """Report the beginning; return what must be kept for as long as this loop counts."""
        loop = self._progress.begin_loop(self._total, self._message)
        self._counts = loop is not None
        self._report()
        return loop


class _AsyncSteps(AsyncIterator[T]):
    """No generator: one that is left early is closed at some time later, and would still count."""

    def __init__(self, track: Track[T], steps: AsyncIterator[T]) -> None:
        self._track = track
        self._steps = steps
        self._loop: Loop | None = None
        self._done: int | None = None

    async def __anext__(self) -> T:
        if self._done is None:
            self._loop = self._track._begin()  # noqa: SLF001 - two halves of one thing
            self._done = 0
        else:
            self._done += 1
            self._track._count(self._done if self._loop else None)  # noqa: SLF001
        try:
            return await anext(self._steps)
        except BaseException:
            self._loop = None
            raise


def _known(total: float | None) -> float | None:
    return None if total == math.inf else check_amount(total, "total amount")
