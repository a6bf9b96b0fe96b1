"""A worker loses its database for longer than its lease, and another worker does not."""

import pytest

from tests.faults.site import FaultySite
from tests.proxy import Link, Proxy
from tests.worker.process import eventually


@pytest.mark.parametrize("how", [Link.CUT, Link.BLACK_HOLE], ids=lambda how: how.name.lower())
def test_what_a_partitioned_worker_does_is_invisible(faulty: FaultySite, how: Link) -> None:
    """Another worker sees the database all the time; for it, the first one is dead."""
    with Proxy(faulty.conf["database_url"]) as proxy:
        partitioned = faulty.start(database_url=proxy.url)
        late, early = faulty.enqueue("writes_at_the_gate"), faulty.enqueue("waits")
        faulty.running(late)
        faulty.running(early)
        (before,) = faulty.service.workers()
        other = faulty.start()
        proxy.go_down(how)
        faulty.running(late, 2)
        faulty.failed(early, "worker_lost", "The worker that ran the job was lost.")
        faulty.let(early)
        proxy.heal()
        partitioned.says("goes on under a new id")
        partitioned.says("came too late to land", str(early.id))
        faulty.let(late, 1)
        faulty.gates.reached(f"{late.id}:1:end")
        faulty.gates.open(f"{late.id}:1:end")
        eventually(lambda: "stale_write" in faulty.events(late), "the refusal")
        assert faulty.read(late).progress == 0
        faulty.let(late, 2)
        faulty.gates.reached(f"{late.id}:2:end")
        faulty.gates.open(f"{late.id}:2:end")
        landed = faulty.completed(late)
        assert (landed.result, landed.attempt, landed.rescues) == ("attempt 2", 2, 1)
        assert faulty.gates.notes(f"stored:{late.id}") == [2]
        assert len(faulty.service.get_job_assets(late.id, late.user_id)) == 1
        faulty.failed(early, "worker_lost", "")
        assert faulty.runs(early) == [1]
        assert other.shut_down() == 0
        assert faulty.completed(faulty.enqueue("adds", 1)).result == 1
        (after,) = faulty.service.workers()
        assert (after.id == before.id, after.pid) == (False, before.pid)
