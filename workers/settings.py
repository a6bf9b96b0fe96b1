"""Celery settings that lose no task, each with its reason. Times are in seconds.

`acks_late` is missing on purpose: it says that a task may run again, which only the task knows.
"""

import os
import tempfile
from pathlib import Path

jobstate_database_url = os.environ.get(
    "JOBSTATE_DATABASE_URL", "postgresql+psycopg://localhost/jobstate"
)
# Where the files of jobs are, below {owner}/{job}/{attempt}/. All workers must have it mounted.
_outputs = os.environ.get("JOBSTATE_DEMO_OUTPUT") or f"{tempfile.gettempdir()}/jobstate-demo"
jobstate_storage_url = os.environ.get("JOBSTATE_STORAGE_URL") or Path(_outputs).resolve().as_uri()
broker_url = os.environ.get("JOBSTATE_BROKER_URL", "redis://localhost:6379/0")

# A body that hangs must not keep its process for ever. The soft limit comes first, as an
# exception, so that a task can clean up.
task_soft_time_limit = 10 * 60
task_time_limit = 11 * 60

if broker_url.startswith(("redis://", "rediss://")):
    broker_transport_options = {
        # Longer than the hard limit, so that no message comes a second time while its task runs.
        # Recovery does not wait for it: a silent worker's jobs are rescued after the lease.
        "visibility_timeout": 15 * 60,
        # Look for lost messages every 10 s. Without the throttle of 1 it would be every 100 s.
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        # A broker that vanished without closing the connection would block a publish for ever.
        "socket_connect_timeout": 5,
        "socket_timeout": 5,
        # The same for a worker that waits for messages: it notices within 1 + 2 * 10 s, not 51 s.
        "health_check_interval": 10,
    }

# A worker may start before its broker, and outlasts any outage of it instead of giving up after
# a hundred attempts.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None

# Cancelling the running tasks when the broker is lost drops some of them for good. They finish
# instead; the copy that a broker may deliver again is refused, because its job is held.
worker_cancel_long_running_tasks_on_connection_loss = False

# With more, a worker hoards messages behind a long task while others stand idle.
worker_prefetch_multiplier = 1

# JSON carries data only; a pickle from whoever reaches the broker would be code.
accept_content = ["json"]
task_serializer = "json"
result_serializer = "json"

# The job row is the result: a backend would repeat it, and cost at every task. A chord needs one;
# then set `result_backend`, and `ignore_result=False` on the tasks of the chord.
task_ignore_result = True

# SIGQUIT, or Ctrl+C twice: time for running tasks to end before they are cancelled. SIGTERM waits
# for them without a limit of its own.
worker_soft_shutdown_timeout = 10

# In KiB. A child that has grown (images do that) is replaced after its task. By memory and not by
# a number of tasks, which would also replace children in good health.
worker_max_memory_per_child = 400_000

# Events cost a third of the throughput. Flower turns them on where it watches.
worker_send_task_events = False
