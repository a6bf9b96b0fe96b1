"""The same statements by pgbench: what Postgres itself needs for a job, whatever sends them."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.measures import Watcher, cpu_of
from benchmarks.written import written
from jobstate.attempts import Hold, Landing, Policy, land, take
from jobstate.creation import NewJob, create_job
from jobstate.embedded import Postgres
from jobstate.settings import Settings
from jobstate.states import JobStatus
from jobstate.store import Operation, Store
from jobstate.sweeping import register_worker

MESSAGE = (
    '{"body": "[[1], {}, {\\"ignore_result\\": true}]", "followups": false, "errbacks": false}'
)


def pgbench(postgres: Postgres, number: int) -> dict[str, float]:
    """Enqueue, take and land so many jobs; return what one needs of Postgres."""
    settings = Settings.for_database(postgres.url)
    store, worker_id = Store.open(settings), uuid4()
    store.run(register_worker(worker_id, "pgbench", 1, [], 86_400))
    hold = Hold(uuid4(), 1, worker_id, 1)
    policy = Policy(idempotent=False, max_rescues=3, keep_partial=False, no_progress=None)
    new = NewJob(user_id=uuid4(), job_type="nothing", message=MESSAGE, call=MESSAGE)
    steps: list[Operation[Any]] = [
        create_job(new, settings),
        take(hold.job_id, 0, worker_id, 1, policy),
        land(hold, Landing(JobStatus.COMPLETED, result="1"), None, followups=False),
    ]
    script = "\\set number random(1, 1000000000000)\n" + "".join(map(_line, steps))
    program = postgres._program.with_name("pgbench")
    watcher = Watcher(postgres.url)
    before, used = watcher.work(), cpu_of(postgres.pid)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.sql"
        path.write_text(script)
        done = subprocess.run(
            [
                *(
                    str(program),
                    "--host=127.0.0.1",
                    f"--port={postgres.port}",
                    "--username=jobstate",
                ),
                *("--no-vacuum", "--protocol=prepared", "--client=2", f"--file={path}"),
                *(f"--transactions={number // 2}", "jobstate"),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
    work, used = (watcher.work() - before) / number, cpu_of(postgres.pid) - used
    watcher.close()
    store.close()
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    assert rate
    return {
        "jobs_per_second": float(rate[1]),
        "postgres_cpu": used / number * 1e6,
        "wal_bytes": work.wal_bytes,
    }


def _line(operation: Operation[Any]) -> str:
    """Write a statement as pgbench reads it; each round has an id of its own."""
    text = written(operation, {"id": "md5(:client_id || '/' || :number)"})
    return text.replace("\n", " ") + ";\n"
