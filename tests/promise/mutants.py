"""The guards of the statements, each of which can be left out, to see what it is for."""

from collections.abc import Mapping
from typing import NamedTuple

from jobstate.store.queries import load_queries


class Mutant(NamedTuple):
    """One statement with one guard less."""

    statement: str
    guard: str
    instead: str = ""
    harm: str = ""
    """What is seen first, where it is always the same."""
    seed: int | None = None
    """Where the search begins, where it would take long to find the harm."""

    def statements(self) -> Mapping[str, str]:
        """Return all statements, this one without its guard."""
        queries = dict(load_queries("jobstate"))
        whole = queries[self.statement]
        assert self.guard in whole, "the statement has another guard now"
        queries[self.statement] = whole.replace(self.guard, self.instead)
        return queries


ATTEMPT = "attempt = cast(%(attempt)s as integer)\n            and "
WORKER = "worker_id = cast(%(worker_id)s as uuid)\n            and "
PROCESS = "pid = coalesce(cast(%(pid)s as integer), pid)\n            and "
FENCE = ATTEMPT + WORKER + PROCESS
JOINED_FENCE = (
    "attempt = cast(%(attempt)s as integer)\n        and (\n            (\n                "
    "worker_id = cast(%(worker_id)s as uuid)\n                "
    "and pid = coalesce(cast(%(pid)s as integer), pid)\n                and "
)
MY_ATTEMPT = "\n        and jobs.attempt = cast(%(attempt)s as integer)"
MY_WORKER = "\n        and jobs.worker_id = cast(%(worker_id)s as uuid)"
MY_PROCESS = "\n        and jobs.pid = coalesce(cast(%(pid)s as integer), jobs.pid)"
MY_FENCE = MY_ATTEMPT + MY_WORKER + MY_PROCESS
TICKET = "and jobs.attempt = cast(%(ticket)s as integer)"
LEASE = "\n                and lease_until > clock_timestamp()"
TAKER = "workers.id = cast(%(worker_id)s as uuid) and dead_at is null"

MUTANTS = {
    "any ticket takes": Mutant("take_again", TICKET, harm="it is not there to be taken"),
    "a worker without a lease takes": Mutant("take", TAKER + LEASE, "true", harm="the taker"),
    "a worker whose lease ran out takes": Mutant(
        "take", LEASE, harm="the taker's lease has run out"
    ),
    "anybody reports": Mutant("report_progress", FENCE, harm="who writes"),
    "anybody records items": Mutant("record_items", FENCE, harm="who writes"),
    "anybody adds assets": Mutant("add_asset", JOINED_FENCE, "((", harm="who writes"),
    "anybody lands": Mutant("land", MY_FENCE, harm="who lands it"),
    "an earlier attempt of the worker lands": Mutant("land", MY_ATTEMPT, harm="who lands it"),
    "who gave it up lands": Mutant("land", MY_WORKER + MY_PROCESS, harm="who lands it"),
    "anybody releases": Mutant("release", FENCE, harm="who releases it"),
    "anybody rescues": Mutant("rescue", FENCE, harm="who rescues it"),
    "every job runs again": Mutant("rescue", "idempotent and message", "message"),
    "no job is given up": Mutant("rescue", " and rescues < coalesce(max_rescues, 0)", seed=0),
    "live workers are given up": Mutant(
        "bury", "lease_until < clock_timestamp()", "true", harm="a live worker was given up"
    ),
    "jobs of live workers are rescued": Mutant(
        "held_by_the_dead", "workers.dead_at is not null and "
    ),
    "a buried worker renews": Mutant("renew_lease", " and dead_at is null"),
    "nothing is published again": Mutant("due", "'publish'", "'wait'"),
    "a job that was not published is forgotten": Mutant(
        "create_job",
        "clock_timestamp() + make_interval(secs => cast(%(publish_grace)s as double precision))",
        "null",
        harm="it never lands",
        seed=0,
    ),
    "items of earlier attempts are shown": Mutant(
        "get_items", "and job_items.attempt = jobs.attempt"
    ),
    "assets of earlier attempts are shown": Mutant(
        "get_assets", "and assets.attempt in (0, jobs.attempt)"
    ),
}
