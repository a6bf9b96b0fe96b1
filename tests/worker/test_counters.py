"""What a process counts of its own doings, as its metrics show it."""

import os
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import Client

from jobstate import InvalidValueError
from jobstate.celery.runtime import is_a_broker_down
from jobstate.counters import Tally
from jobstate.metrics import wsgi_app
from tests.proxy import Link, Proxy
from tests.worker.process import eventually
from tests.worker.site import OpenSite, Site

Figures = dict[tuple[str, ...], float]
Happened = Callable[[], Figures]

PREFIX = "jobstate_process_"


def figures_of(text: str) -> Figures:
    """Return what a process shows of itself, by its short name and its label."""
    return {
        (sample.name.removeprefix(PREFIX).removesuffix("_total"), *sample.labels.values()): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(PREFIX)
    }


@pytest.fixture
def linked(open_site: OpenSite) -> Iterator[tuple[Site, Proxy]]:
    """A site that reaches its broker by a link, which has carried a message."""
    with (
        open_site() as behind,
        Proxy(behind.conf["broker_url"]) as link,
        Site(behind.conf["database_url"], link.url, jobstate_publish_timeout=3) as site,
    ):
        site.enqueue("returns", 0)
        yield site, link


def watched(site: Site) -> Happened:
    """Return what tells how much more this process shows from now on, where it is more."""
    client = Client(wsgi_app(site.service))

    def read() -> Figures:
        return figures_of(client.get("/").text)

    before = read()
    return lambda: {
        name: value - before[name] for name, value in read().items() if value > before[name]
    }


def test_messages_are_counted_by_what_became_of_them(linked: tuple[Site, Proxy]) -> None:
    site, link = linked
    # Another test of this process may have left a broker of its own for down.
    gauge = {} if is_a_broker_down() else {("broker_down",): 1}
    happened = watched(site)
    for number in range(3):
        site.enqueue("returns", number)
    assert happened() == {("publications", "published"): 3}
    with pytest.raises(InvalidValueError, match="cannot be published"):
        site.enqueue_with("returns", 0, serializer="none such")
    link.go_down(Link.BLACK_HOLE)
    jobs = [site.enqueue("returns", number) for number in range(2)]
    assert happened() == {
        ("publications", "published"): 3,
        ("publications", "refused"): 1,
        ("publications", "failed"): 1,
        ("publications", "not_tried"): 1,
        **gauge,
    }
    link.heal()
    eventually(lambda: site.jobs.publish(jobs[0]) or site.read(jobs[0]).publishes, "the closing")
    assert ("broker_down",) not in happened()
    assert happened()["publications", "published"] == 4


def test_each_message_of_a_batch_is_counted(linked: tuple[Site, Proxy]) -> None:
    site, link = linked
    happened = watched(site)
    calls: list[dict[str, object]] = [{"args": (number,)} for number in range(10)]
    calls[5] = {"args": (5,), "serializer": "none such"}
    with pytest.raises(InvalidValueError, match="cannot be published"):
        site.jobs.enqueue_many(site.task("returns"), calls, user_id=site.user_id)
    assert happened() == {("publications", "published"): 9, ("publications", "refused"): 1}
    link.lose_the_answer(b"(4,)", by=Link.BLACK_HOLE)
    site.jobs.enqueue_many(site.task("returns"), calls[:5], user_id=site.user_id)
    # The first of a queue travels alone.
    assert happened()["publications", "published"] == 10
    assert happened()["publications", "failed"] == 4


def test_a_worker_counts_what_it_refused_and_dropped(open_site: OpenSite) -> None:
    with open_site("solo") as site:
        landed = site.completed(site.enqueue("counts_runs"))
        site.publish(landed, "counts_runs", ticket=0)
        late = site.enqueue("works_on")
        site.gates.reached(late.id)
        site.service.mark_failed(late.id, "given up")
        site.gates.open(late.id)
        counted = figures_of(str(site.completed(site.enqueue("shows_its_process")).result))
    assert counted["duplicate_deliveries",] == 1
    assert counted["stale_writes",] >= 1
    assert counted["publications", "published"] == 0


def test_nothing_is_lost_between_threads_and_nobody_reads_less_than_before() -> None:
    tally = Tally()
    threads = [Thread(target=lambda: [tally.add() for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    read = [tally.read() for _ in range(500)]
    for thread in threads:
        thread.join()
    assert read == sorted(read)
    assert tally.read() == 8000


def test_counting_waits_for_no_reader() -> None:
    """Such as one whom a signal has interrupted, or the collector."""
    tally = Tally()
    with tally._lock:
        tally.add()
    assert tally.read() == 1


def test_a_child_counts_from_its_beginning_whoever_read_when_it_was_forked() -> None:
    tally = Tally()
    tally.add(7)
    with tally._lock:
        if (pid := os.fork()) == 0:
            tally.add(2)
            os._exit(tally.read())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
    assert tally.read() == 7
