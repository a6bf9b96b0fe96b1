"""RabbitMQ: batches on one channel, and publisher confirms where they are asked for."""

import multiprocessing
import os
from collections.abc import Callable, Iterator

import pytest

from jobstate.celery.broker import bounded_producer
from tests.proxy import Link, Proxy
from tests.rabbitmq import rabbitmq_url
from tests.worker.site import Site

CONFIRMS = {"broker_transport_options": {"confirm_publish": True}}


@pytest.fixture(scope="module")
def amqp_url() -> Iterator[str]:
    """A RabbitMQ for this file."""
    with rabbitmq_url() as url:
        yield url


def taken(site: Site) -> list[str]:
    """Take all messages out of the queue, and return the ids of their jobs."""
    with site.app.connection_for_read() as connection:
        queue = connection.SimpleQueue("celery")
        messages = [queue.get() for _ in range(queue.qsize())]
        for message in messages:
            message.ack()
        queue.close()
    return [message.headers["id"] for message in messages]


@pytest.mark.parametrize("conf", [{}, CONFIRMS], ids=["unconfirmed", "confirmed"])
def test_a_batch_goes_to_rabbitmq(
    amqp_url: str, jobs_url: str, redis_url: str, conf: dict[str, dict[str, bool]]
) -> None:
    with Site(jobs_url, amqp_url, gates_url=redis_url, **conf) as site:
        calls = [{"args": (number,)} for number in range(30)]
        jobs = site.jobs.enqueue_many(site.task("returns"), calls, user_id=site.user_id)
        assert taken(site) == [str(job.id) for job in jobs]
        site.noted()
        assert {site.read(job).publishes for job in jobs} == {1}


def test_what_is_not_confirmed_is_not_published(
    amqp_url: str, jobs_url: str, redis_url: str
) -> None:
    """Nor is it waited for: the link swallows everything."""
    with (
        Proxy(amqp_url) as link,
        Site(
            jobs_url, link.url, gates_url=redis_url, jobstate_publish_timeout=3, **CONFIRMS
        ) as site,
    ):
        sent = site.enqueue("returns", 0)
        site.noted()
        assert site.read(sent).publishes == 1
        link.go_down(Link.BLACK_HOLE)
        jobs = [site.enqueue("returns", number) for number in range(3)]
        assert [site.read(job).publishes for job in jobs] == [0, 0, 0]


def fork(call: Callable[[], object]) -> int:
    """Have a call made in a process that Kombu does not know of, as a web server forks them."""
    if (child := os.fork()) == 0:
        try:
            call()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_as_pools_do(call: Callable[[], object]) -> int | None:
    """Have a call made in a process that Kombu hears of."""
    child = multiprocessing.get_context("fork").Process(target=call)
    child.start()
    child.join(60)
    return child.exitcode


@pytest.mark.parametrize("forked", [fork, fork_as_pools_do])
def test_a_forked_process_publishes_by_a_connection_of_its_own(
    amqp_url: str,
    jobs_url: str,
    redis_url: str,
    forked: Callable[[Callable[[], object]], int | None],
) -> None:
    with Site(jobs_url, amqp_url, gates_url=redis_url) as site:
        timeout = site.jobs.settings.publish_timeout

        def address() -> object:
            """Return where a connection comes from, which has done what it was told before."""
            with bounded_producer(site.app, timeout) as producer:
                producer.channel.queue_declare("celery", passive=True)
                return producer.connection.connection.sock.getsockname()

        def publish() -> None:
            site.enqueue("returns", 2)
            assert address() != parents

        taken(site)
        site.enqueue("returns", 1)
        parents = address()
        assert forked(publish) == 0
        assert address() == parents
        site.enqueue("returns", 3)
        assert address() == parents
        assert len(taken(site)) == 3
