"""Tasks that save files, and die in every moment of it. Real workers import this."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery import shared_task

from jobstate import JobTask, LeaseLost
from jobstate.celery.saving import _FencedRows
from jobstate.storage import PART
from tests.worker.gates import Gates


class Stream:
    """A file of so many bytes that never was, which calls back when half of it is read."""

    def __init__(self, size: int, halfway: Callable[[], object] = lambda: None) -> None:
        self._left = size
        self._half = size // 2
        self._halfway = halfway

    def seekable(self) -> bool:
        """Say no: what was read is gone."""
        return False

    def read(self, size: int) -> bytes:
        """Read at most so many bytes."""
        if self._left <= self._half:
            self._halfway()
            self._half = -1
        size = min(size, self._left)
        self._left -= size
        return b"x" * size


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after(verb: str, action: Callable[[], object]) -> None:
    """Do something after a write to the row of the first asset; the write itself is done."""
    write = getattr(_FencedRows, verb)

    def write_and_act(*args: Any) -> Any:
        setattr(_FencedRows, verb, write)
        answer = write(*args)
        action()
        return answer

    setattr(_FencedRows, verb, write_and_act)


def _before_finish(action: Callable[[], object]) -> None:
    """Do something when the file is there, before its row says so."""
    write = _FencedRows.finish

    def act_and_write(*args: Any) -> Any:
        _FencedRows.finish = write  # type: ignore[method-assign]
        action()
        return write(*args)

    _FencedRows.finish = act_and_write  # type: ignore[method-assign]


@shared_task(base=JobTask, bind=True, acks_late=True)
def saves_and_dies(self: JobTask, moment: str) -> int:
    """Die at some moment of the first attempt."""
    halfway: Callable[[], object] = lambda: None  # noqa: E731
    if self.job.attempt == 1:
        match moment:
            case "after the row":
                _after("begin", die)
            case "in the middle":
                halfway = die
            case "after the file":
                _before_finish(die)
            case "after the end":
                _after("finish", die)
    source: Any = Stream(3 * PART, halfway)
    self.job.save_asset("bin", source, name="result.bin")
    return self.job.attempt


@shared_task(base=JobTask, bind=True)
def saves_once_and_dies(self: JobTask, moment: str) -> None:
    """The same, for a task that is never run again."""
    saves_and_dies.__wrapped__.__func__(self, moment)


@shared_task(base=JobTask, bind=True, acks_late=True)
def saves_at_the_gate(self: JobTask, moment: str) -> int:
    """Stand at a gate at some moment of the first attempt, and note what comes of it then."""
    gates, job = Gates.of(self.app), self.job

    def stop() -> None:
        gates.stop(f"{job.id}:{job.attempt}")

    halfway: Callable[[], object] = lambda: None  # noqa: E731
    if job.attempt == 1:
        if moment == "in the middle":
            halfway = stop
        else:
            _before_finish(stop)
    source: Any = Stream(3 * PART, halfway)
    with suppress(LeaseLost):
        job.save_asset("bin", source, name="result.bin")
        gates.note(f"saved:{job.id}", job.attempt)
    gates.note(f"tried:{job.id}", job.attempt)
    return job.attempt
