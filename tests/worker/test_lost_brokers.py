"""A broker that is down costs an enqueue a bounded time, once; the sweeper publishes later."""

from collections.abc import Callable, Iterator

import pytest

from jobstate.celery import circuit
from tests.proxy import Link, Proxy
from tests.worker.process import eventually
from tests.worker.site import OpenSite, Site

Downable = tuple[Site, Proxy, Callable[[], list[str]]]


@pytest.fixture
def linked(open_site: OpenSite) -> Iterator[Downable]:
    """A site that reaches its broker by a link, which has carried a message; what has arrived."""
    with (
        open_site() as behind,
        Proxy(behind.conf["broker_url"]) as link,
        Site(behind.conf["database_url"], link.url, jobstate_publish_timeout=3) as site,
    ):
        site.enqueue("returns", 0)
        yield site, link, lambda: [message["id"] for message in behind.waiting()]


@pytest.mark.parametrize("how", [Link.CUT, Link.BLACK_HOLE])
def test_enqueueing_goes_on_and_leaves_a_broker_alone_that_has_failed(
    linked: Downable, how: Link
) -> None:
    site, link, arrived = linked
    opened = link.accepted
    link.go_down(how)
    jobs = [site.enqueue("returns", number) for number in range(5)]
    # Nobody is asked twice who does not answer; what was reset is opened again, once.
    assert link.accepted - opened <= (0 if how is Link.BLACK_HOLE else 3)
    assert [site.read(job).publishes for job in jobs] == [0] * 5
    link.heal()
    eventually(lambda: site.jobs.publish(jobs[0]) or site.read(jobs[0]).publishes, "the closing")
    assert str(jobs[0].id) in arrived()
    last = site.enqueue("returns", 20)
    assert str(last.id) in arrived()


def test_a_connection_that_was_closed_while_it_was_idle_costs_nothing(linked: Downable) -> None:
    """Load balancers and servers do that: the next message opens it again."""
    site, link, arrived = linked
    link.go_down(Link.CUT)
    link.heal()
    job = site.enqueue("returns", 1)
    assert str(job.id) in arrived()
    link.go_down(Link.CUT)
    link.heal()
    created = site.jobs.enqueue_many(
        site.task("returns"), [{"args": (n,)} for n in range(3)], user_id=site.user_id
    )
    assert arrived()[2:] == [str(job.id) for job in created]


@pytest.mark.parametrize("how", [Link.CUT, Link.BLACK_HOLE])
def test_a_broker_that_was_never_there_is_a_broker_that_is_down(
    open_site: OpenSite, how: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "FIRST", 0.01)
    with open_site() as behind, Proxy(behind.conf["broker_url"]) as link:
        link.go_down(how)
        with Site(behind.conf["database_url"], link.url, jobstate_publish_timeout=3) as site:
            job = site.enqueue("returns", 1)
            assert site.read(job).publishes == 0
            link.heal()
            eventually(lambda: site.jobs.publish(job), "the publication")
            assert [message["id"] for message in behind.waiting()] == [str(job.id)]
