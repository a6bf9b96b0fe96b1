"""Looks at an installation and says what is wrong with it. It changes nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from jobstate.celery.setup import broker_problem, is_installed, setup_of, tasks_of
from jobstate.doctor import configured, database, questions
from jobstate.doctor.checks import Check, Finding
from jobstate.doctor.questions import Observed
from jobstate.errors import JobStateError, SchemaMismatch
from jobstate.service import JobService
from jobstate.settings import Settings
from jobstate.setups import Setup, TaskSetup
from jobstate.store import Store

__all__ = ["Check", "Finding", "examine"]

_BROKER_PATIENCE = 5.0
"""How long the broker may take to answer, in seconds."""


def examine(
    settings: Settings,
    app: Any = None,
    grace: float | None = None,
    consumer_timeout: float | None = None,
) -> list[Finding]:
    """Return all that is wrong. A database or a broker that is away is a finding, no error.

    Args:
        settings: What to examine.
        app: The Celery app whose tasks and broker are examined too; without it, workers tell some.
        grace: How long the platform waits between SIGTERM and SIGKILL, in seconds.
        consumer_timeout: That of the RabbitMQ server, in seconds; by default, the usual one.
    """
    seen = _Seen()
    # What reads must work behind a pooler too, whatever is set.
    service = JobService.from_settings(replace(settings, prepare_threshold=None))
    try:
        found = [*_database(service.store, settings, seen), *_app(settings, app, seen)]
    finally:
        service.close()
    named = _named(seen.setups)
    found += configured.redelivery(named, seen.tasks, seen.observed, consumer_timeout)
    found += configured.differing(named)
    found += configured.connections(named)
    found += configured.celery(named, seen.tasks)
    if grace is not None:
        found += configured.grace(seen.tasks, seen.observed, grace)
    return found


@dataclass
class _Seen:
    """What was found out on the way."""

    setups: list[tuple[str, Setup]] = field(default_factory=list)
    tasks: list[TaskSetup] = field(default_factory=list)
    observed: Mapping[str, Observed] = field(default_factory=dict)


def _database(store: Store, settings: Settings, seen: _Seen) -> Iterator[Finding]:
    checks: list[Callable[[], Iterator[Finding]]] = [
        partial(database.guards, store),
        partial(database.pooler, settings),
        partial(database.clocks, store),
        partial(database.sweeper, store, settings),
        partial(database.stuck, store, settings),
        partial(database.unserved, store),
    ]
    try:
        for check in checks:
            yield from check()
        seen.observed = store.run(questions.observed())
        workers = store.run(questions.setups())
        seen.setups += [(f"worker {worker.hostname}", worker.setup) for worker in workers]
    except SchemaMismatch as error:
        yield Finding(Check.SCHEMA, str(error))
    except JobStateError as error:
        yield Finding(Check.DATABASE, str(error))


def _app(settings: Settings, app: Any, seen: _Seen) -> Iterator[Finding]:
    if app is None:
        return
    name = f"app {app.main or '(without a name)'}"
    try:
        seen.tasks += tasks_of(app)
        seen.setups.insert(0, (name, setup_of(app, settings)))
    except Exception as error:  # noqa: BLE001 - it imports what the app names
        yield Finding(Check.CONFIGURATION, f"The {name}: {type(error).__name__}: {error}")
        return
    if not is_installed(app):
        yield Finding(Check.NOT_INSTALLED, f"jobstate is not installed on the {name}.")
    if (problem := broker_problem(app, _BROKER_PATIENCE)) is not None:
        broker = seen.setups[0][1].broker
        yield Finding(Check.BROKER, f"The broker {broker} of the {name} does not answer: {problem}")


def _named(setups: list[tuple[str, Setup]]) -> list[tuple[str, Setup]]:
    """Put those together that run with the same."""
    same: dict[Setup, list[str]] = {}
    for who, setup in setups:
        same.setdefault(replace(setup, clock=0.0), []).append(who)
    return [
        (f"The {who[0]}" + (f" (and {len(who) - 1} like it)" if who[1:] else ""), setup)
        for setup, who in same.items()
    ]
