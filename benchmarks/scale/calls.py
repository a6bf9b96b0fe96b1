"""What everybody asks often, in a large table and in an empty one by turns."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from statistics import median
from typing import Any
from uuid import UUID

from benchmarks.scale.load import owner
from benchmarks.scale.site import Site, timed
from jobstate import figures, monitoring, reading
from jobstate.store import Operation

CALLS = 300
"""How often each is called in either table."""

WARM = 20
"""How often it is called before that."""

DUE = 100
"""How many jobs the sweeper must look at."""

PAGES = 12
"""How many pages of a thousand jobs an operator has read: all live ones, and more."""

Act = Callable[[], object]

MAKE_DUE = """
update jobstate.jobs set next_check_at = now()
where id in (select id from jobstate.jobs where completed_at is null limit %s)
"""


def ratios(
    empty: Site, large: Site, owners: int, tell: Callable[[str], object]
) -> dict[str, dict[str, float]]:
    """Let both tables do the same by turns; return the microseconds of each, and the ratio.

    Args:
        empty: Has the live jobs, and the same jobs of the same few owners.
        large: Has millions more.
        owners: How many owners there are in the large one.
        tell: Is told each ratio at once.
    """
    acts = {empty.url: acts_in(empty, len(empty.owners)), large.url: acts_in(large, owners)}
    found: dict[str, dict[str, float]] = {}
    for name in acts[empty.url]:
        took: dict[str, list[float]] = {empty.url: [], large.url: []}
        for number in range(WARM + CALLS):
            # Neither is always the first.
            for site in (empty, large) if number % 2 else (large, empty):
                if name == "a round of the sweeper, 100 due":
                    site.plain.execute(MAKE_DUE, [DUE])
                took[site.url].append(timed(acts[site.url][name]))
        small, big = (median(took[site.url][WARM:]) * 1e6 for site in (empty, large))
        found[name] = {"empty, us": small, "large, us": big, "ratio": big / small}
        tell(f"{name}: {small:,.0f} us, {big:,.0f} us, ratio {big / small:.2f}")
    return found


def acts_in(site: Site, owners: int) -> dict[str, Act]:
    """Return what is done in a site, by names."""
    service, known = site.service, cycle(site.owners)
    ids = cycle(site.landed(WARM + CALLS))
    read = cycle(site.landed_of_owners())
    page = partial(reading.list_all_jobs, job_type=None)

    def ask(operation: Operation[Any]) -> Any:
        return service.store.run(operation)

    def anybody() -> UUID:
        return owner(random.randrange(owners))  # noqa: S311 - any will do

    def owned(number: int) -> Callable[[], object]:
        """Read the last of so many pages of each owner."""
        cursors = {each: last(partial(service.list_jobs, each), number) for each in site.owners}
        return lambda: service.list_jobs(each := next(known), cursor=cursors[each])

    deep = last(lambda cursor: ask(page(status=None, limit=1000, cursor=cursor)), PAGES)
    newest = ask(figures.last_event())
    return {
        "get": lambda: service.get_job_internal(next(read)),
        "get, not read lately": lambda: service.get_job_internal(next(ids)),
        "an owner's list": lambda: service.list_jobs(next(known)),
        "an owner's list, page 4": owned(4),
        "an owner's list, failed": lambda: service.list_jobs(next(known), status="failed"),
        "an owner's list, not read lately": lambda: service.list_jobs(anybody()),
        "an owner's counts": lambda: service.stats(next(known)),
        "an operator's list": lambda: ask(page(status=None, limit=50)),
        "an operator's list, page 240": lambda: ask(page(status=None, limit=50, cursor=deep)),
        "an operator's list, failed": lambda: ask(page(status="failed", limit=50)),
        "jobstate watch": lambda: ask(reading.watched([], 100, 30.0)),
        "metrics": lambda: (
            ask(figures.live_jobs()),
            ask(figures.events_after(newest, [], 1000)),
            ask(figures.keepers()),
        ),
        "Flower's back-fill": lambda: ask(monitoring.newest_jobs(100)),
        "a round of the sweeper": service.sweep,
        "a round of the sweeper, 100 due": service.sweep,
        "enqueue": site.enqueue,
        "take": site.take,
        "land": site.land,
    }


def last(read: Callable[..., reading.Page[Any]], pages: int) -> str | None:
    """Return the cursor of the last of so many pages."""
    cursor = None
    for _ in range(pages - 1):
        cursor = read(cursor=cursor).next_cursor
    return cursor


def warm(site: Site) -> None:
    """Have the indexes in memory, as after days of work."""
    site.plain.execute("set enable_seqscan = off")
    site.plain.execute("select count(id) from jobstate.jobs")
    site.plain.execute("select count(id) from jobstate.job_events")
    site.plain.execute("select count(job_id) from jobstate.job_events")
    site.plain.execute("reset enable_seqscan")
    site.service.stats()


def whole(site: Site) -> dict[str, float]:
    """Return the seconds of what is asked seldom, and depends on how much there is."""
    asked: dict[str, Act] = {
        "counts of everybody": site.service.stats,
        "counts of the last hour": lambda: site.service.stats(landed_within=3600),
        "an operator's list of a type that is not there": lambda: site.service.store.run(
            reading.list_all_jobs(status=None, job_type="none", limit=50)
        ),
        "doctor's durations": lambda: site.service.store.run(
            Operation("observed", {}, lambda rows: rows)
        ),
    }
    return {name: median(times(act)) for name, act in asked.items()}


def times(act: Act) -> Iterator[float]:
    """Yield how long something takes, five times."""
    for _ in range(5):
        yield timed(act)
