"""How many statements a job costs: counted in the log of a server, in a run that is not timed."""

import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import redis

from benchmarks.contestants import Contestant
from benchmarks.drain import Servers, left_of, servers, urls_of, worker_of
from benchmarks.measures import Watcher, wait_until
from jobstate.embedded import Postgres

JOBS = 200
_STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): ")


def statements(
    contestants: Sequence[Contestant], tell: Callable[[str], object]
) -> dict[str, float]:
    """Return what each sends for one job, from enqueueing to its end; BEGIN and COMMIT count too.

    What a worker asks as it starts and ends is in it.
    """
    counts: dict[str, float] = {}
    with servers(log_statement="all") as pair:
        for contestant in contestants:
            number = max(20, round(JOBS * contestant.share))
            before = _logged(pair[0])
            _run(contestant, pair, number)
            counts[contestant.name] = (_logged(pair[0]) - before) / number
            tell(f"{contestant.name}: {counts[contestant.name]:.1f} statements a job")
    return counts


def _run(contestant: Contestant, pair: Servers, number: int) -> None:
    postgres, broker = pair
    queue, watcher = redis.Redis.from_url(broker.url), Watcher(postgres.url)
    with contestant.producer(urls_of(pair)) as fill:
        fill(number)
    left = left_of(contestant, queue, watcher)
    with (
        tempfile.TemporaryDirectory() as folder,
        worker_of(contestant, urls_of(pair), Path(folder)),
    ):
        wait_until(lambda: left() == 0, "the end of the queue")
    watcher.close()


def _logged(postgres: Postgres) -> int:
    return len(_STATEMENT.findall(postgres.log.read_text(errors="replace")))
