"""What is published from a job's row is the message that Celery itself would publish."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from celery import Task, chain, chord, group

from jobstate.celery.publish import TICKET
from tests.proxy import Link, Proxy
from tests.worker.process import eventually
from tests.worker.site import Site

OWN = ("origin", "expires", TICKET)
"""Headers that say when and by whom a message was published, and ours."""


def sent(site: Site, queue: str = "celery") -> list[Mapping[str, Any]]:
    """Return all that is in the messages of a queue, the first to be delivered first."""
    return [readable(message) for message in raw(site, queue)]


def raw(site: Site, queue: str) -> list[dict[str, Any]]:
    # Redis has a list for each priority.
    keys = [key for key in site.redis.keys(f"{queue}*") if site.redis.type(key) == b"list"]
    texts = [text for key in sorted(keys) for text in reversed(site.redis.lrange(key, 0, -1))]
    return [json.loads(text) for text in texts]


def readable(message: dict[str, Any]) -> Mapping[str, Any]:
    properties = message["properties"]
    for name in ("delivery_tag", "reply_to", "expiration"):
        properties.pop(name, None)
    headers = {name: value for name, value in message["headers"].items() if name not in OWN}
    return {**message, "headers": headers, "body": json.loads(base64.b64decode(message["body"]))}


def test_a_call_with_options_is_published_from_its_row_as_celery_would(quiet_site: Site) -> None:
    task_id = str(uuid4())
    options: dict[str, Any] = {
        "task_id": task_id,
        "queue": "reports",
        "priority": 3,
        "headers": {"trace": "1"},
        "expires": 600,
        "shadow": "a report",
        "time_limit": 9,
        "soft_time_limit": 5,
        "serializer": "json",
    }
    Task.apply_async(quiet_site.task("works_on_items"), (1, 2), {"skipped": 3}, **options)
    (expected,) = sent(quiet_site, "reports")
    quiet_site.redis.flushdb()
    job = quiet_site.store("works_on_items", 1, 2, kwargs={"skipped": 3}, **options)
    assert quiet_site.jobs.publish(job)
    assert sent(quiet_site, "reports") == [expected]
    (message,) = raw(quiet_site, "reports")
    assert message["headers"][TICKET] == 0
    assert message["headers"]["expires"] is not None
    assert 0 < int(message["properties"]["expiration"]) <= 600_000


@pytest.mark.parametrize("shape", ["callbacks", "chain", "group", "chord"])
def test_a_canvas_is_published_again_as_it_was(quiet_site: Site, shape: str) -> None:
    """Callbacks, the rest of a chain, the group and the chord are in the row's message too."""
    returns = quiet_site.task("returns")
    step = returns.s().set(user_id=str(quiet_site.user_id))
    canvas = {
        "callbacks": lambda: step.clone(link=[returns.si()], link_error=[returns.si()]),
        "chain": lambda: chain(step.clone(), step.clone(), step.clone()),
        "group": lambda: group(step.clone(), step.clone()),
        "chord": lambda: chord([step.clone(), step.clone()], step.clone()),
    }[shape]()
    canvas.apply_async()
    first = sent(quiet_site)
    assert first
    quiet_site.redis.flushdb()
    for message in first:
        publish_again(quiet_site, message["headers"]["id"])
    assert sent(quiet_site) == first


def publish_again(site: Site, job_id: str) -> None:
    """Do what the sweeper does with a message that was lost."""
    site.noted()
    with site.service.store.engine.connect() as connection:
        connection.exec_driver_sql("update jobstate.jobs set published_at = null, publishes = 0")
    assert site.jobs.publish(job_id)


def test_a_broker_that_swallows_everything_neither_fails_nor_hangs_a_call(
    jobs_url: str, broker_url: str
) -> None:
    with Proxy(broker_url) as broker, Site(jobs_url, broker.url, gates_url=broker_url) as site:
        broker.go_down(Link.BLACK_HOLE)
        jobs = [site.enqueue("returns", number) for number in range(3)]
        assert [site.read(job).published_at for job in jobs] == [None] * 3
        broker.heal()
        eventually(lambda: site.jobs.publish(jobs[0]), "a broker that is asked again")
