"""Whether a large table is as fast as an empty one: ``python -m benchmarks.scale [JOBS]``.

Two databases of one server take turns: one with the live jobs and those of a few owners, and one
that also has millions that have landed. That server does not wait for the disk, so that nothing
hides what grows with the table. The purge beside others who work is measured with one that does.
Needs 1.3 GB of disk for each million jobs, and frees it; ten million take 20 minutes.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.scale.calls import ratios, warm, whole
from benchmarks.scale.load import OWNERS, SHOWN, load, shown
from benchmarks.scale.site import Site
from benchmarks.scale.upkeep import purge, sizes, updates
from jobstate.embedded import Postgres

LIVE = 10_000
OWNED = 50
UPDATES = 1_000_000
PURGED = 1_000_000

FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "6GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "4GB",
    "maintenance_work_mem": "1GB",
    "autovacuum": "off",
}

DURABLE = {"shared_buffers": "4GB", "max_wal_size": "4GB"}


def main() -> None:
    """Measure everything once, and print it."""
    jobs = int(sys.argv[1]) if sys.argv[1:] else 10_000_000
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # Postgres may run as another user.
        told = measure(jobs, Path(directory) / "data", print)
    Path(".benchmarks").mkdir(exist_ok=True)
    Path(".benchmarks/scale.json").write_text(json.dumps(told, indent=1))


def measure(jobs: int, directory: Path, tell: Callable[[str], object]) -> dict[str, Any]:
    """Return the ratios of a large table to an empty one, and what it needs."""
    told: dict[str, Any] = {"jobs": jobs, "live": LIVE}

    def note(name: str, what: object) -> None:
        told[name] = what
        tell(f"{name}: {what}")

    with Postgres(directory, settings=FAST) as server:
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as plain:
            plain.execute("create database large")
        empty, large = Site(server.url, shown()), Site(beside(server.url), shown())
        began = time.monotonic()
        load(empty, jobs, SHOWN)
        load(large, jobs)
        note("made in, s", time.monotonic() - began)
        note("bytes", sizes(large, jobs))
        for site in (empty, large):
            site.enqueue(LIVE, OWNED)
            site.plain.execute("vacuum analyze")
            warm(site)
        told["ratios"] = ratios(empty, large, OWNERS, tell)
        note("whole, s", whole(large))
        note("updates", updates(large, UPDATES))
        empty.close()
        large.close()
    with Postgres(directory, settings=DURABLE) as server:
        site = Site(beside(server.url), shown())
        note("purge", purge(site, min(PURGED, jobs)))
        site.close()
    return told


def beside(url: str) -> str:
    """Return the database of the large table."""
    return url.rpartition("/")[0] + "/large"


if __name__ == "__main__":
    main()
