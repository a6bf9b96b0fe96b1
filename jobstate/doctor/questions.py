"""What the doctor asks the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from jobstate.setups import Setup
from jobstate.store import Operation

MOST = 100
"""How many stuck jobs are told."""


@dataclass(frozen=True, slots=True)
class Observed:
    """How long the attempts of a task ran, in seconds: 99 of 100 of them, and the longest."""

    late: bool
    """Whether it acknowledges late."""

    most: float
    longest: float


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a live worker runs with, and by how many seconds its clock was ahead."""

    hostname: str
    setup: Setup
    ahead: float


def guards() -> Operation[Mapping[tuple[str, str], bool]]:
    """Read which triggers, CHECKs and indexes there are, and whether each does its work."""
    return Operation("guards", {}, lambda rows: {(kind, name): fit for kind, name, fit in rows})


def server_clock() -> Operation[float]:
    """Read the database's clock, in seconds since 1970."""
    return Operation("server_clock", {}, lambda rows: float(rows[0][0]))


def observed() -> Operation[Mapping[str, Observed]]:
    """Read how long tasks ran lately."""
    return Operation("observed", {}, lambda rows: {row[0]: Observed(*row[1:]) for row in rows})


def setups() -> Operation[list[WorkerSetup]]:
    """Read what the live workers run with; those of another release are left out."""
    return Operation(
        "setups",
        {},
        lambda rows: [
            WorkerSetup(hostname, setup, ahead)
            for hostname, stored, ahead in rows
            if (setup := Setup.decode(stored)) is not None
        ],
    )


def sweeper_seen() -> Operation[float | None]:
    """Read how many seconds ago a sweeper was seen; None: never."""
    return Operation("sweeper_seen", {}, lambda rows: rows[0][0])


def stuck(late: float) -> Operation[list[tuple[UUID, str]]]:
    """List live jobs that should have been moved on so many seconds ago, and why."""
    params = {"late": late, "limit": MOST}
    return Operation("stuck", params, lambda rows: [(job_id, reason) for job_id, reason in rows])


def unserved(waited: float) -> Operation[list[tuple[str, int, float]]]:
    """List queues that nobody consumes: jobs that have waited so long, and the longest wait."""
    return Operation("unserved", {"waited": waited}, lambda rows: [(q, n, s) for q, n, s in rows])
