"""Checks of the database, and of what stands in it."""

import time
from collections.abc import Iterator

from jobstate.doctor import questions
from jobstate.doctor.checks import Check, Finding
from jobstate.settings import Settings
from jobstate.store import Store
from jobstate.store.migrations import guards as migrations
from jobstate.store.pooler import shares_connections

SKEW = 5.0
"""How wrong a clock may be, in seconds."""

WAITED = 60.0
"""How long a job may wait in a queue that nobody consumes, in seconds."""


def guards(store: Store) -> Iterator[Finding]:
    """Find triggers, CHECKs and indexes that are gone or do nothing."""
    found = store.run(questions.guards())
    for kind, name in migrations.guards():
        if not found.get((kind, name), False):
            state = "disabled or not valid" if (kind, name) in found else "missing"
            yield Finding(Check.GUARDS, f"The {kind} {name} of schema {store.schema} is {state}.")


def pooler(settings: Settings) -> Iterator[Finding]:
    """Find statements that are prepared through a pooler in transaction mode."""
    if settings.prepare_threshold is not None and shares_connections(settings):
        yield Finding(
            Check.POOLER,
            "A pooler in transaction mode stands before the database, and "
            f"jobstate_prepare_threshold is {settings.prepare_threshold}.",
        )


def clocks(store: Store) -> Iterator[Finding]:
    """Find machines whose clock is not the database's."""
    before = time.time()
    there = store.run(questions.server_clock())
    here = (before + time.time()) / 2
    ahead = [("this machine", here - there)] + [
        (f"worker {worker.hostname}", worker.ahead) for worker in store.run(questions.setups())
    ]
    for who, seconds in ahead:
        if abs(seconds) > SKEW:
            how = "ahead of" if seconds > 0 else "behind"
            yield Finding(
                Check.CLOCK, f"The clock of {who} is {abs(seconds):.0f} s {how} the database's."
            )


def sweeper(store: Store, settings: Settings) -> Iterator[Finding]:
    """Find that nobody sweeps."""
    seen = store.run(questions.sweeper_seen())
    if seen is None:
        yield Finding(Check.SWEEPER, "No sweeper was ever seen: no worker, and no jobstate sweep.")
    elif seen > settings.lease:
        yield Finding(Check.SWEEPER, f"The last sweeper was seen {seen:.0f} s ago.")


def stuck(store: Store, settings: Settings) -> Iterator[Finding]:
    """Find jobs that the rules should have moved on."""
    late = 2 * settings.lease + settings.sweep_interval
    for job_id, reason in store.run(questions.stuck(late)):
        yield Finding(Check.STUCK_JOBS, f"Job {job_id} {reason}, for more than {late:.0f} s.")


def unserved(store: Store) -> Iterator[Finding]:
    """Find queues that no live worker consumes."""
    for queue, count, waited in store.run(questions.unserved(WAITED)):
        yield Finding(
            Check.UNSERVED_QUEUE,
            f"Queue {queue} has {count} jobs that no worker will get, the oldest for "
            f"{waited:.0f} s.",
        )
