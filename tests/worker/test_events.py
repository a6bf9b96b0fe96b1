"""The events of jobs that monitors hear."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.worker.process import eventually
from tests.worker.site import OpenSite, Site

Event = dict[str, Any]


@contextmanager
def listening(site: Site) -> Iterator[list[Event]]:
    """Hear all events of a site's broker, as Flower does."""
    heard: list[Event] = []
    with site.app.connection_for_read() as connection:
        receiver = site.app.events.Receiver(connection, handlers={"*": heard.append})
        thread = threading.Thread(target=receiver.capture, kwargs={"wakeup": False})
        thread.start()
        try:
            yield heard
        finally:
            receiver.should_stop = True
            thread.join()


def said_of(job_id: object, heard: list[Event]) -> list[tuple[Any, ...]]:
    """Return what was heard of a job from jobstate."""
    return [
        (event["type"], event["job_status"], event["progress"], event["attempt"])
        for event in list(heard)
        if event.get("uuid") == str(job_id) and "job_status" in event
    ]


def test_a_take_progress_and_a_landing_are_events(open_site: OpenSite) -> None:
    """Of a worker that runs bodies in its main process; tests of Flower have the other kind."""
    with open_site("threads", "--task-events") as site, listening(site) as heard:
        # The worker looks once a second whether anybody watches it.
        eventually(
            lambda: said_of(site.completed(site.enqueue("returns")).id, heard), "the first event"
        )
        job = site.enqueue("reports_and_blocks")
        site.gates.reached(job.id)
        half = ("task-progress", "processing", 50, 1)
        eventually(lambda: half in said_of(job.id, heard), "progress")
        site.gates.open(job.id)
        landed = ("task-landed", "completed", 100, 1)
        eventually(lambda: landed in said_of(job.id, heard), "the landing")
        said = said_of(job.id, heard)
        assert said[0] == ("task-progress", "processing", 0, 1)
        assert said[-1] == landed
        assert all(event["hostname"].startswith("threads-") for event in heard)


def test_nothing_is_sent_where_nobody_watches(open_site: OpenSite) -> None:
    with open_site("threads") as site, listening(site) as heard:
        eventually(lambda: heard, "a heartbeat of the worker")
        for job in [site.enqueue("returns") for _ in range(3)]:
            site.completed(job)
        assert not [event for event in heard if event["type"].startswith("task-")]
