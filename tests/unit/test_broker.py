"""The pool of bounded connections is found without a connection, and is always the right one."""

import multiprocessing
import os

from celery import Celery
from kombu import pools

from jobstate.celery.broker import bounded_connection, bounded_producer, pool_of

TIMEOUT = 3.0


def new_app(broker_url: str) -> Celery:
    """Make an app that nobody else has."""
    return Celery("tests", broker=broker_url, set_as_current=False)


def test_it_is_the_pool_that_kombu_finds_by_a_new_connection(broker_url: str) -> None:
    """Also once its connections were used: a used one would be another key."""
    app = new_app(broker_url)
    for _ in range(3):
        with bounded_producer(app, TIMEOUT) as producer:
            producer.connection.ensure_connection(max_retries=1)
        assert pool_of(app, TIMEOUT) is pools.producers[bounded_connection(app, TIMEOUT)]


def test_no_connection_is_made_where_the_pool_is_known(broker_url: str) -> None:
    app = new_app(broker_url)
    made: list[object] = []
    kind = app.amqp.Connection
    app.amqp.Connection = lambda *args, **options: made.append(args) or kind(*args, **options)
    assert pool_of(app, TIMEOUT) is pool_of(app, TIMEOUT)
    assert len(made) == 1


def test_a_pool_that_kombu_has_given_up_is_not_used_again(broker_url: str) -> None:
    """Kombu's reset, and the fork of a process, empty the group."""
    app = new_app(broker_url)
    before = pool_of(app, TIMEOUT)
    pools.producers.clear()
    pools.connections.clear()
    after = pool_of(app, TIMEOUT)
    assert after is not before
    assert after is pool_of(app, TIMEOUT)


def test_another_broker_timeout_or_amqp_has_another_pool(broker_url: str) -> None:
    app = new_app(broker_url)
    found = [pool_of(app, TIMEOUT), pool_of(app, TIMEOUT + 1)]
    app.conf.broker_url = f"{broker_url.rpartition('/')[0]}/15"
    found.append(pool_of(app, TIMEOUT))
    # What Celery itself needs to heed other options.
    app.conf.broker_transport_options = {"socket_timeout": 7, "visibility_timeout": 60}
    app.__dict__.pop("amqp")
    found.append(pool_of(app, TIMEOUT))
    assert len({id(pool) for pool in found}) == 4


def test_a_forked_process_has_a_pool_of_its_own(broker_url: str) -> None:
    app = new_app(broker_url)
    parents = pool_of(app, TIMEOUT)
    with bounded_producer(app, TIMEOUT) as producer:
        producer.connection.ensure_connection(max_retries=1)
    if (child := os.fork()) == 0:
        try:
            pool = pool_of(app, TIMEOUT)
            is_own = pool is not parents and pool.connections is not parents.connections
            with bounded_producer(app, TIMEOUT) as own:
                own.connection.ensure_connection(max_retries=1)
            os._exit(0 if is_own else 3)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool_of(app, TIMEOUT) is parents


def test_kombu_closes_no_connection_of_the_parent_in_a_forked_process(broker_url: str) -> None:
    """It hears of a fork by `multiprocessing`, as of one of Celery's pool."""
    app = new_app(broker_url)
    collected = multiprocessing.Value("i", 0)
    for pool in (pool_of(app, TIMEOUT), pool_of(app, TIMEOUT).connections):

        def collect(_: object) -> None:
            collected.value += 1

        pool.collect_resource = collect
    with bounded_producer(app, TIMEOUT):
        child = multiprocessing.get_context("fork").Process(target=lambda: None)
        child.start()
        child.join(60)
    assert child.exitcode == 0
    assert collected.value == 0
