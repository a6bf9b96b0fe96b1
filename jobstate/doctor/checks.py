"""What the doctor checks: why each thing hurts, and what helps. The reference is made from it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Check(StrEnum):
    """One thing that can be wrong."""

    CONFIGURATION = "configuration"
    NOT_INSTALLED = "not_installed"
    DATABASE = "database"
    SCHEMA = "schema"
    GUARDS = "guards"
    POOLER = "pooler"
    CLOCK = "clock"
    SWEEPER = "sweeper"
    STUCK_JOBS = "stuck_jobs"
    UNSERVED_QUEUE = "unserved_queue"
    BROKER = "broker"
    VISIBILITY_TIMEOUT = "visibility_timeout"
    VISIBILITY_DIFFERS = "visibility_differs"
    CONSUMER_TIMEOUT = "consumer_timeout"
    SOCKET_TIMEOUTS = "socket_timeouts"
    BROKER_HEARTBEAT = "broker_heartbeat"
    CONNECTION_LOSS = "connection_loss"
    RETRY_ON_WORKER_LOST = "retry_on_worker_lost"
    RESULT_BACKEND = "result_backend"
    ACKS_LATE_EVERYWHERE = "acks_late_everywhere"
    GRACE_PERIOD = "grace_period"

    @property
    def why(self) -> str:
        """Why it hurts."""
        return _TEXTS[self].why

    @property
    def remedy(self) -> str:
        """What helps."""
        return _TEXTS[self].remedy

    @property
    def page(self) -> str:
        """Where the documentation says more."""
        return f"docs/reference/doctor.md#{self.value}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong."""

    check: Check
    what: str

    def to_dict(self) -> dict[str, str]:
        """Return it with all there is to say, in types that JSON knows."""
        check = self.check
        return {
            "check": check.value,
            "what": self.what,
            "why": check.why,
            "remedy": check.remedy,
            "page": check.page,
        }


class _Text(NamedTuple):
    why: str
    remedy: str


_TEXTS = {
    Check.CONFIGURATION: _Text(
        why=(
            "Nothing starts with settings that contradict each other, or an app that cannot "
            "be loaded."
        ),
        remedy="Correct what the message names.",
    ),
    Check.NOT_INSTALLED: _Text(
        why="Its JobTasks cannot run: they have no database, and no worker keeps their jobs.",
        remedy="Call jobstate.install(app) where the app is made.",
    ),
    Check.DATABASE: _Text(
        why="No job can be created, start or land without it.",
        remedy="Start Postgres, and check jobstate_database_url and the way there.",
    ),
    Check.SCHEMA: _Text(
        why="Statements of this release fail on tables of another one.",
        remedy="Run `jobstate migrate` before the new release starts.",
    ),
    Check.GUARDS: _Text(
        why=(
            "Without its triggers and CHECKs the database takes illegal moves and loses "
            "history; without its indexes the sweeper and the owners' lists read the whole "
            "table."
        ),
        remedy=(
            "Enable it, or make it again as `jobstate migrate --sql` prints it; for an index "
            "that is not valid: REINDEX."
        ),
    ),
    Check.POOLER: _Text(
        why=(
            "Statements are prepared on a connection of the server, and the pooler gives it "
            "to somebody else: they fail with DuplicatePreparedStatement."
        ),
        remedy="Set jobstate_prepare_threshold = None, everywhere.",
    ),
    Check.CLOCK: _Text(
        why=(
            "jobstate compares no worker's clock with another's, but Celery does: a "
            "countdown, an eta and an expiry are off by as much."
        ),
        remedy="Keep the clocks of all machines by NTP.",
    ),
    Check.SWEEPER: _Text(
        why=(
            "Nobody would notice a lost worker, a lost message or a passed deadline: jobs do "
            "not land."
        ),
        remedy="Start a worker, or `jobstate --app NAME sweep --every 5`.",
    ),
    Check.STUCK_JOBS: _Text(
        why=("These jobs should have been moved on by the rules. Sweepers are behind, or cannot."),
        remedy=(
            "Look at `jobstate show ID` and at the workers' logs; run `jobstate --app NAME sweep`."
        ),
    ),
    Check.UNSERVED_QUEUE: _Text(
        why="No worker that is alive consumes this queue: its jobs wait for ever.",
        remedy=(
            "Start a worker with -Q and this queue, or correct task_routes. "
            "jobstate_queue_timeout has such jobs fail in time."
        ),
    ),
    Check.BROKER: _Text(
        why="Jobs are accepted, and wait in their rows until the broker is back.",
        remedy="Start the broker, and check broker_url and the way there.",
    ),
    Check.VISIBILITY_TIMEOUT: _Text(
        why=(
            "The broker delivers the message again while its task still runs, each time anew."
            " Jobs drop the copy; tasks that are no jobs run twice."
        ),
        remedy=(
            "Set broker_transport_options['visibility_timeout'] above the hard time limit of "
            "every late task. A silent worker's jobs do not wait for it."
        ),
    ),
    Check.VISIBILITY_DIFFERS: _Text(
        why=("Whichever process looks for lost messages uses its own: the shortest holds for all."),
        remedy=(
            "Set the same visibility_timeout in every app on this broker, or give each its "
            "own database."
        ),
    ),
    Check.CONSUMER_TIMEOUT: _Text(
        why=(
            "RabbitMQ closes the channel of a consumer that has not acknowledged for so long,"
            " and delivers again all that it held."
        ),
        remedy=(
            "Raise consumer_timeout of the server, or x-consumer-timeout of the queue, above "
            "the hard time limit of every late task. A server tells its own to no client: where it "
            "is not 30 minutes, say --consumer-timeout."
        ),
    ),
    Check.SOCKET_TIMEOUTS: _Text(
        why=(
            "A broker that vanishes without closing the connection blocks the worker for as "
            "long as the system retries, which is minutes."
        ),
        remedy=(
            "Set socket_timeout and socket_connect_timeout in broker_transport_options to "
            "some seconds."
        ),
    ),
    Check.BROKER_HEARTBEAT: _Text(
        why=(
            "A connection that died silently is not noticed: the worker waits on it and gets "
            "nothing."
        ),
        remedy="Leave broker_heartbeat at its default, or set it to some seconds.",
    ),
    Check.CONNECTION_LOSS: _Text(
        why=("When the broker is lost, Celery cancels the running tasks and drops some for good."),
        remedy=(
            "Set worker_cancel_long_running_tasks_on_connection_loss = False. They finish; a "
            "copy that is delivered meanwhile is refused, because its job is held."
        ),
    ),
    Check.RETRY_ON_WORKER_LOST: _Text(
        why="Celery publishes a lost task past its row: the job would never land.",
        remedy=(
            "Turn task_retry_on_worker_lost off. acks_late=True declares that a task may run again."
        ),
    ),
    Check.RESULT_BACKEND: _Text(
        why=(
            "Storing a result comes before or after the body of each task: a backend that "
            "does not answer holds the process, and with track_started the body never runs."
        ),
        remedy=(
            "Set task_ignore_result = True (the job row is the result) and task_track_started"
            " = False; where a chord needs a backend, give it redis_socket_timeout of some "
            "seconds."
        ),
    ),
    Check.ACKS_LATE_EVERYWHERE: _Text(
        why=(
            "acks_late declares that a task may run more than once. task_acks_late declares "
            "it for every task, also for those that nobody has thought about."
        ),
        remedy="Turn task_acks_late off, and say acks_late=True at each task that is idempotent.",
    ),
    Check.GRACE_PERIOD: _Text(
        why=(
            "A deploy kills the task before it ends, and it cannot run again: its job fails "
            "with worker_lost."
        ),
        remedy=(
            "Make the task idempotent (acks_late=True), lengthen the grace period, or lower "
            "the task's soft time limit below it."
        ),
    ),
}
