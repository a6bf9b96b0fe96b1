"""The messages of a batch are those that Celery's own `apply_async` publishes, one by one."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, Task
from celery.signals import after_task_publish, before_task_publish

from jobstate.celery.publish import TICKET, Message
from jobstate.celery.template import template_of
from tests.worker.site import OpenSite, Site
from tests.worker.test_messages import OWN, raw

ARGUMENTS: list[tuple[Any, ...]] = [(1,), ("text",), ([1, {"a": "ü" * 2000}],), (None,)]
ALIKE: list[dict[str, Any]] = [
    {},
    {"queue": "reports", "priority": 3, "shadow": "a report"},
    {"headers": {"trace": "1"}, "time_limit": 9, "soft_time_limit": 5},
    {"serializer": "yaml", "compression": "zlib", "ignore_result": False},
    {"routing_key": "reports"},
]
APART: list[dict[str, Any]] = [{"expires": 600}, {"eta": "2020-01-01T00:00:00+00:00"}, {"link": []}]


def message_of(site: Site, **options: Any) -> Message:
    """Return the message of a call."""
    return site.task("returns").call_for((1,), {}, None, {"user_id": 1, **options}).message


def published(site: Site) -> list[dict[str, Any]]:
    """Return all messages without what is each publication's own, and forget them."""
    messages = [*raw(site, "celery"), *raw(site, "reports")]
    for message in messages:
        assert message["headers"].get(TICKET, 0) == 0
        for name in OWN:
            message["headers"].pop(name, None)
        for name in ("delivery_tag", "expiration"):
            message["properties"].pop(name, None)
    site.redis.flushdb()
    return messages


def together(site: Site, ids: list[str], **options: Any) -> list[dict[str, Any]]:
    """Enqueue a batch; return its messages."""
    calls = [{"args": args, "task_id": one} for one, args in zip(ids, ARGUMENTS, strict=True)]
    site.jobs.enqueue_many(site.task("returns"), calls, user_id=uuid4(), **options)
    return published(site)


@pytest.mark.parametrize(
    ("conf", "calls"),
    [
        ({}, [*ALIKE, *APART]),
        ({"task_protocol": 1}, ALIKE),
        ({"task_ignore_result": False, "task_routes": {"tests.*": "reports"}}, ALIKE),
    ],
)
def test_a_batch_is_published_as_celery_would(
    open_site: OpenSite, conf: dict[str, Any], calls: list[dict[str, Any]]
) -> None:
    with open_site(**conf) as site:
        for options in calls:
            ids = [str(uuid4()) for _ in ARGUMENTS]
            for task_id, args in zip(ids, ARGUMENTS, strict=True):
                Task.apply_async(site.task("returns"), args, task_id=task_id, **options)
            expected = published(site)
            assert len(expected) == len(ids)
            assert together(site, ids, **options) == expected, options


def test_messages_that_are_alike_have_a_template(quiet_site: Site) -> None:
    for options in ALIKE:
        assert template_of(quiet_site.app, message_of(quiet_site, **options)) is not None
    for options in ({"link": [quiet_site.task("returns").si()]}, {"group_id": "a"}):
        assert template_of(quiet_site.app, message_of(quiet_site, **options)) is None


def test_what_is_enqueued_within_a_task_has_none(quiet_site: Site) -> None:
    """Celery adds where it comes from."""

    def has_none() -> bool:
        return template_of(quiet_site.app, message_of(quiet_site)) is None

    around = quiet_site.app.task(has_none, name="around")
    assert around.apply().get()


def test_a_task_that_is_known_by_name_alone_is_published_as_celery_would(quiet_site: Site) -> None:
    ids = [str(uuid4()) for _ in range(3)]
    for number, task_id in enumerate(ids):
        quiet_site.app.send_task("elsewhere", (number,), task_id=task_id, queue="reports")
    expected = published(quiet_site)
    calls = [{"args": (number,), "task_id": one} for number, one in enumerate(ids)]
    quiet_site.jobs.enqueue_many("elsewhere", calls, user_id=uuid4(), queue="reports")
    assert published(quiet_site) == expected


def test_a_function_that_routes_is_asked_for_each(open_site: OpenSite) -> None:
    def by_argument(_name: str, args: Any, *_: Any, **__: Any) -> Any:
        return {"queue": "reports" if args == ("text",) else "celery"}

    with open_site(task_routes=(by_argument,)) as site:
        ids = [str(uuid4()) for _ in ARGUMENTS]
        found = [one["headers"]["id"] for one in together(site, ids)]
        assert found == [ids[0], ids[2], ids[3], ids[1]]
        queues = [site.read(one).queue for one in ids]
        assert queues == ["celery", "reports", "celery", "celery"]


@pytest.mark.parametrize("where", [(Task, "apply_async"), (Celery, "send_task")])
def test_what_has_put_itself_around_celery_sees_each_call(
    quiet_site: Site, monkeypatch: pytest.MonkeyPatch, where: tuple[type, str]
) -> None:
    original: Callable[..., Any] = getattr(*where)

    @wraps(original)
    def traced(self: Any, *args: Any, headers: Mapping[str, Any], **options: Any) -> Any:
        return original(self, *args, headers={**headers, "traced": "yes"}, **options)

    monkeypatch.setattr(*where, traced)
    found = together(quiet_site, [str(uuid4()) for _ in ARGUMENTS])
    assert [one["headers"]["traced"] for one in found] == ["yes"] * len(ARGUMENTS)


def test_the_signals_of_celery_are_sent_for_each(quiet_site: Site) -> None:
    before, after = [], []

    def publishing(headers: dict[str, Any], **_: Any) -> None:
        before.append(headers["id"])
        headers["stamp"] = f"of {headers['id']}"

    def was_published(headers: Mapping[str, Any], **_: Any) -> None:
        after.append(headers["id"])

    before_task_publish.connect(publishing)
    after_task_publish.connect(was_published)
    try:
        ids = [str(uuid4()) for _ in ARGUMENTS]
        found = together(quiet_site, ids)
    finally:
        before_task_publish.disconnect(publishing)
        after_task_publish.disconnect(was_published)
    assert [one["headers"]["stamp"] for one in found] == [f"of {one}" for one in ids]
    assert (before, after) == (ids, ids)
