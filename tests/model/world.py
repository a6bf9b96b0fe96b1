"""What stays as it is while the model runs: the rules, what the task declares, the pool."""

from enum import StrEnum
from typing import NamedTuple


class Rules(NamedTuple):
    """The rules of docs/lifecycle.md. Each may be switched off, to see what it is good for."""

    ticket: bool = True
    """[T] A delivery takes the job only at the attempt that its message follows."""
    heir_ticket: bool = True
    """[T] The last of the tasks that took a job over shows at which attempt it was delegated."""
    row_first: bool = True
    """[R] A retry releases the row, with the next message in it, before it publishes."""
    canvas: bool = True
    """[R] A delegated job keeps the tasks that take it over, until they are published."""
    adopted_message: bool = True
    """[R] A job that was adopted from a plain message keeps that message, too."""
    fence: bool = True
    """[F] Every write of an attempt is refused when the attempt does not hold the job."""
    silence: bool = True
    """[S] An attempt whose landing is refused dispatches nothing."""
    quiet_release: bool = True
    """[S] An attempt whose release is refused publishes no retry and no replacement."""
    match: bool = True
    """[P] What is handed over concerns the job only while that very process holds it."""
    own_process: bool = True
    """[P] A hand-over names the process that was lost, and no other with the same delivery."""
    lease: bool = True
    """[L] A worker whose own lease is not alive takes nothing."""
    pending: bool = True
    """[C] A landing notes that follow-ups are pending, until they were dispatched."""
    kept_follow_ups: bool = True
    """[C] So does a rescue that keeps a partial result: it has callbacks to come, not errbacks."""
    frozen_ids: bool = True
    """[C] The next job has its id before it is dispatched."""
    errbacks_wait: bool = True
    """[C] Errbacks, like callbacks, are dispatched only when the job has landed that way."""
    burial: bool = True
    """[B] A silent worker is buried in one statement, and its jobs are rescued in the next."""
    patience: bool = True
    """[B] After an outage everybody has a whole lease to renew before anybody is buried."""
    own_take: bool = True
    """[O] Of the deliveries in one process, only the one that took the job is the attempt."""
    own_landing: bool = True
    """[O] An attempt takes a landing for its own only if it was."""
    idle_holds: bool = True
    """[I] A keeper answers also for a process that lives, but does not run the job it holds."""
    no_ban: bool = True
    """[U] A worker that was told to end a run does not refuse the job's later messages."""


class Pool(StrEnum):
    """Where the two processes that may run the job are."""

    WORKERS = "two workers with a process each"
    PROCESSES = "one worker with two processes"
    THREADS = "one worker with two threads"


class World(NamedTuple):
    """What stays as it is: the rules, what the task declares, the pool."""

    rules: Rules = Rules()
    idempotent: bool = False
    """It acknowledges late and may run again; else it acknowledges early and runs at most once."""
    keep_partial: bool = False
    """Its body returns a partial result, and a rescue keeps one."""
    pool: Pool = Pool.WORKERS
    adopted: bool = False
    """Its message was published without a row; the first take made one."""
    max_rescues: int = 1

    def __str__(self) -> str:
        """Describe it in words."""
        runs = "at least once" if self.idempotent else "at most once"
        more = ", keeping partial results" if self.keep_partial else ""
        return f"{self.pool}, {runs}{more}{', adopted' if self.adopted else ''}"

    def worker_of(self, process: int) -> int:
        """Return which worker a process belongs to."""
        return process if self.pool is Pool.WORKERS else 0

    def name(self, process: int) -> str:
        """Name one of the two processes."""
        if self.pool is Pool.WORKERS:
            return f"worker {'AB'[process]}"
        return f"{'thread' if self.pool is Pool.THREADS else 'process'} {process + 1}"

    def worker_name(self, worker: int) -> str:
        """Name a worker."""
        return f"worker {'AB'[worker]}" if self.pool is Pool.WORKERS else "the worker"
