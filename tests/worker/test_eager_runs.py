"""An eager run is a worker of its own, for as long as it takes."""

import threading
from types import SimpleNamespace

import pytest

from jobstate.celery import eager
from jobstate.celery.runtime import runtime_of
from tests.worker.process import eventually
from tests.worker.site import Site


class LimitReached(Exception):  # noqa: N818 - as Celery's soft time limit
    """What a signal handler raises."""


class Interrupted(threading.Thread):
    """A thread while whose start a signal comes."""

    def start(self) -> None:
        """Start, and raise what the signal's handler does."""
        super().start()
        raise LimitReached


def test_an_interrupted_start_leaves_no_worker_behind(
    quiet_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = SimpleNamespace(Thread=Interrupted, Event=threading.Event)
    monkeypatch.setattr(eager, "threading", pieces)
    with pytest.raises(LimitReached), eager.eager_worker(runtime_of(quiet_site.app)):
        pytest.fail("the run has begun")
    assert quiet_site.service.workers() == []
    assert eager._here.get() is None
    eventually(
        lambda: not any(isinstance(thread, Interrupted) for thread in threading.enumerate()),
        "the end of its thread",
    )
