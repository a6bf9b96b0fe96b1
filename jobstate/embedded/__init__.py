"""Real Postgres and Redis out of Python wheels, for demos and tests: no Docker, no installation.

They listen on a free loopback port and end with the process that started them, even after a
kill -9. ``python -m jobstate.embedded`` runs both until Ctrl-C. Not for production: whoever can
reach the loopback interface may use them without a password.
"""

import sys

from jobstate.embedded.errors import EmbeddedError

if sys.platform == "win32":
    raise EmbeddedError(
        "The embedded servers do not run on Windows: they need Linux or macOS. "
        "Use WSL, or point jobstate at a Postgres and a Redis of your own."
    )

# Only now: the modules below import fcntl and pwd, which Windows does not have.
from jobstate.embedded.postgres import Postgres
from jobstate.embedded.redis import Redis

__all__ = ["EmbeddedError", "Postgres", "Redis"]
