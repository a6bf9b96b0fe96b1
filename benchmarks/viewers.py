"""What viewers cost: ``python -m benchmarks.viewers [VIEWERS [SECONDS]]``; see docs/how-to/live.md.

One uvicorn process serves a stream to each viewer, while every job reports its progress once a
second and lands in the end. Postgres is a real one out of a wheel, with fsync on; server, viewers
and writer share the machine.
"""

import asyncio
import json
import platform
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import uniform
from statistics import median
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import psutil
import psycopg

from jobstate import JobService, Settings
from jobstate.embedded import Postgres
from jobstate.store.migrations import apply

SECONDS = int(sys.argv[2]) if sys.argv[2:] else 10
"""How long every job reports."""

PROGRAM = """
import sys, uvicorn
from fastapi import FastAPI, Request
from jobstate import AsyncJobService
from jobstate.store import AsyncStore
from jobstate.web.fastapi import create_router

asked, run = [], AsyncStore.run

async def noted(store, operation):
    asked.append(operation.statement)
    return await run(store, operation)

AsyncStore.run = noted

def get_user_id(request: Request):
    return request.headers["X-User"]

app = FastAPI()
jobs = AsyncJobService(sys.argv[1])
app.include_router(create_router(jobs, get_user_id=get_user_id, max_streams=1_000_000))
app.get("/asked")(lambda: len(asked))
uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""

HEADER = (
    "| viewers | of | queries/s | server CPU | Postgres CPU | latency p50 | p99 | landings missed |"
)


def main() -> None:
    """Run every case, and print the table."""
    count = int(sys.argv[1]) if sys.argv[1:] else 1_000
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {psutil.cpu_count()} cores,")
    print(f"Python {platform.python_version()}, load {psutil.getloadavg()[0]:.1f} before\n")
    print(HEADER)
    print("|" + " --- |" * 8)
    with Postgres() as postgres:
        apply(Settings.for_database(postgres.url))
        for case in (
            (1, 1, False),
            (count, count, False),
            (count, 10, False),
            (count, count, True),
        ):
            asyncio.run(measured(postgres.url, *case))
    print(f"\nLoad {psutil.getloadavg()[0]:.1f} after")


async def measured(url: str, count: int, of: int, by_owner: bool) -> None:  # noqa: FBT001 - a column of the table
    """Watch `of` jobs, each of an owner of its own, by so many viewers, and print a row."""
    service = JobService(url)
    owners = [uuid4() for _ in range(of)]
    jobs = {owner: service.create_job(owner, "report").id for owner in owners}
    for job_id in jobs.values():
        service.transition_status(job_id, "processing")
    started: asyncio.Queue[None] = asyncio.Queue()
    async with served(url) as (address, server):
        watching = [
            asyncio.create_task(watch(address, owners[n % of], jobs, started, by_owner=by_owner))
            for n in range(count)
        ]
        for _ in range(count):
            await started.get()
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            before = await figures(address, server, connection)
            await asyncio.to_thread(report, service, list(jobs.values()))
            after = await figures(address, server, connection)
        took, queries, own, of_postgres = (b - a for a, b in zip(before, after, strict=True))
        for job_id in jobs.values():
            await asyncio.to_thread(service.mark_completed, job_id, None)
        done, late = await asyncio.wait(watching, timeout=30)
        for task in late:
            task.cancel()
        latencies = sorted(latency for task in done for latency in task.result())
    service.close()
    of_what = f"{of:,} {'owner' if by_owner else 'job'}{'s' * (of > 1)}"
    cells = [
        f"{count:,}",
        of_what,
        f"{queries / took:.1f}",
        f"{100 * own / took:.0f} %",
        f"{100 * of_postgres / took:.0f} %",
        f"{1000 * median(latencies):.0f} ms",
        f"{1000 * latencies[len(latencies) * 99 // 100]:.0f} ms",
        str(len(late)),
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


@asynccontextmanager
async def served(url: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Start the server, and end it."""
    port = 18_765
    server = subprocess.Popen([sys.executable, "-c", PROGRAM, url, str(port)])  # noqa: ASYNC220 - the program above
    address = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient() as client:
            while True:
                try:
                    await client.get(f"{address}/openapi.json")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        yield address, psutil.Process(server.pid)
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait, 30)


async def watch(
    address: str,
    owner: UUID,
    jobs: dict[UUID, UUID],
    started: asyncio.Queue[None],
    *,
    by_owner: bool,
) -> list[float]:
    """Read a stream until its job has landed; return how long each report took to get here."""
    path = "/jobs/events" if by_owner else f"/jobs/{jobs[owner]}/events"
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nX-User: {owner}\r\n\r\n"
    writer.write(request.encode())
    latencies = []
    try:
        while line := await reader.readline():
            if line.startswith(b"retry"):
                started.put_nowait(None)
            if not line.startswith(b"data: "):
                continue
            now, job = time.time(), json.loads(line.removeprefix(b"data: "))
            if job["is_terminal"]:
                return latencies
            if job["progress_message"]:
                latencies.append(now - float(job["progress_message"]))
        raise EOFError
    finally:
        writer.close()


def report(service: JobService, jobs: list[UUID]) -> None:
    """Report the progress of every job about once a second."""
    started = time.monotonic()
    while (now := time.monotonic()) < started + SECONDS:
        for job_id in jobs:
            percent = 100 * (now - started) / SECONDS
            service.update_progress(job_id, min(99, percent), message=str(time.time()))
        # Not in step with the questions.
        time.sleep(max(0.0, now + uniform(0.5, 1.5) - time.monotonic()))  # noqa: S311 - no secret


async def figures(
    address: str, server: psutil.Process, connection: psycopg.Connection
) -> tuple[float, ...]:
    """Return the time, how many queries there were, and the CPU of the server and of Postgres."""
    async with httpx.AsyncClient() as client:
        asked = (await client.get(f"{address}/asked")).json()
    return time.monotonic(), asked, used(server), used_by_postgres(connection)


def used(process: psutil.Process) -> float:
    """Return the seconds of CPU that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


def used_by_postgres(connection: psycopg.Connection) -> float:
    """Return the seconds of CPU that this Postgres has used, connections that are closed apart."""
    postmaster = psutil.Process(connection.info.backend_pid).parent()
    assert postmaster is not None
    return sum(used(one) for one in postmaster.children())


if __name__ == "__main__":
    main()
