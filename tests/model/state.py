"""What the model knows: a job's row, two processes, their workers, a broker, what was dispatched.

A state is a tuple of tuples: it is compared and hashed as it is. Some fields of the job are in no
real row; they only remember what the promises ask about.
"""

from enum import StrEnum
from typing import NamedTuple

from jobstate.states import TERMINAL_STATUSES, JobStatus
from tests.model.world import Pool, World

LIVE = frozenset(JobStatus) - TERMINAL_STATUSES


class Message(NamedTuple):
    """What the broker carries: the attempt it follows, and which call of the task it makes.

    The first call is 0; the n-th retry asks for the n-th, with arguments and a count of its own.
    """

    ticket: int
    call: int


class Holder(NamedTuple):
    """The columns `worker_id` and `pid`. A worker has another id after each boot and burial."""

    worker: int
    generation: int
    pid: int


class Job(NamedTuple):
    """The row; from `asked` on, only a memory."""

    status: JobStatus = JobStatus.QUEUED
    attempt: int = 0
    call: int = 0
    """Which call its message makes."""
    rescues: int = 0
    holder: Holder | None = None
    must_end: bool = False
    """It was cancelled, or its deadline has passed."""
    delegated: bool = False
    """It was released to other tasks, the last of which goes on with it."""
    pending: bool = False
    """It has landed, and its follow-ups have still to be dispatched."""
    asked: int = 0
    """Which call was asked for last."""
    leased: bool = True
    """Whether the holder's lease was alive when it took the job."""
    history: tuple[JobStatus, ...] = (JobStatus.QUEUED,)
    started: tuple[int, ...] = ()
    """The calls whose body has begun, where none may begin twice."""
    delegated_by: tuple[int, ...] = ()
    """The attempts that delegated it."""
    landed_by: int | None = None
    """The attempt that landed it, if one did."""


class Lease(StrEnum):
    """What a worker's row says."""

    ALIVE = "alive"
    LATE = "run out"
    MISSED = "run out while the database was away"
    DEAD = "buried"


class Main(StrEnum):
    """A worker's main process; its pool stops and dies with it."""

    UP = "up"
    PAUSED = "paused"
    GONE = "gone"


class Fate(StrEnum):
    """What a signal handler of the main process has heard."""

    LOST = "a process died"
    ENDED = "a process was ended on purpose"
    UNSTARTED = "a message was revoked before its start"


class HandedOver(NamedTuple):
    """What a signal handler left to the keeper: pids, or the ticket of what was not started."""

    fate: Fate
    numbers: tuple[int, ...]


class Worker(NamedTuple):
    """A worker: its main process, its row, what its keeper has to settle."""

    main: Main = Main.UP
    lease: Lease = Lease.ALIVE
    generation: int = 0
    handed_over: tuple[HandedOver, ...] = ()
    banned: bool = False
    """It throws messages of the job away, as it was once told to end it."""


class Phase(StrEnum):
    """What a process does next."""

    IDLE = "waits for a message"
    TAKE = "takes"
    TAKE_AGAIN = "takes again, as the answer was lost"
    BEGIN = "begins the body"
    BODY = "runs the body"
    LAND = "lands"
    LAND_AGAIN = "lands again, as the answer was lost"
    DISPATCH = "dispatches the follow-ups"
    CLEAR = "notes that they are dispatched"
    RELEASE = "releases"
    RELEASE_AGAIN = "releases again, as the answer was lost"
    PUBLISH = "publishes the retry"
    DELEGATE = "releases the job to other tasks"
    DELEGATE_AGAIN = "releases it to other tasks again, as the answer was lost"
    HAND_ON = "publishes the other tasks"


RUNNING = frozenset(Phase) - {Phase.IDLE, Phase.TAKE, Phase.TAKE_AGAIN, Phase.BEGIN}


class Members(StrEnum):
    """The tasks that a job was delegated to."""

    NONE = "not published"
    OUT = "published"
    FAILED = "one of them failed"


class Process(NamedTuple):
    """A pool process or a thread, the delivery it has in hand, the attempt it believes to be."""

    pid: int = 0
    phase: Phase = Phase.IDLE
    message: Message | None = None
    attempt: int | None = None
    then: JobStatus | None = None
    """How its body ended..."""
    call: int = 0
    """... or which call the body asked for."""

    def ready(self) -> "Process":
        """Return it as it waits for the next message."""
        return Process(self.pid)


class State(NamedTuple):
    """Everything, at one moment."""

    job: Job
    workers: tuple[Worker, ...]
    processes: tuple[Process, ...]
    broker: tuple[Message, ...] = ()
    callbacks: int = 0
    """How many next jobs there are that follow a success..."""
    errbacks: int = 0
    """... and a failure."""
    members: Members = Members.NONE
    seen: Holder | None = None
    """Whom a sweep saw silent, when burial and rescue are one statement."""
    faults: int = 0
    """How many may still happen."""

    def with_worker(self, index: int, worker: Worker) -> "State":
        """Return the state with one worker changed."""
        workers = self.workers
        return self._replace(workers=(*workers[:index], worker, *workers[index + 1 :]))

    def with_process(self, index: int, process: Process) -> "State":
        """Return the state with one process changed."""
        processes = self.processes
        return self._replace(processes=(*processes[:index], process, *processes[index + 1 :]))

    def with_message(self, message: Message) -> "State":
        """Return the state with one more message in the broker, which keeps no order."""
        return self._replace(broker=tuple(sorted((*self.broker, message))))


class Step(NamedTuple):
    """One thing that can happen next, and what the promises ask about it."""

    words: str
    state: State
    owed: bool = True
    """Whether it happens in the end when nothing goes wrong any more."""
    taker: Worker | None = None
    """The worker that took the job..."""
    called: int | None = None
    """... and the call that its message makes."""
    begun: int | None = None
    """The call whose body began."""
    writer: int | None = None
    """The attempt whose write was accepted."""
    dispatcher: int | None = None
    """The attempt that dispatched follow-ups."""
    rescued: bool = False
    """Whether the job was taken away from its holder because that was given up."""
    buried: Worker | None = None
    """The worker that was given up."""


def initial(world: World, faults: int) -> State:
    """Return the state after the commit of a new job; or before, where a take is to adopt it."""
    if world.pool is Pool.WORKERS:
        workers, processes = (Worker(), Worker()), (Process(), Process())
    elif world.pool is Pool.PROCESSES:
        workers, processes = (Worker(),), (Process(0), Process(1))
    else:
        workers, processes = (Worker(),), (Process(), Process())
    state = State(Job(), workers, processes, faults=faults)
    return state.with_message(Message(0, 0)) if world.adopted else state


def is_accepted(world: World, state: State) -> bool:
    """Tell whether there is a row: an adopted job has none before it is taken."""
    return state.job.attempt > 0 or not world.adopted


def moved(job: Job, status: JobStatus) -> Job:
    """Return the job in another status; the same one is no transition."""
    if job.status is status:
        return job
    return job._replace(status=status, history=(*job.history, status))
