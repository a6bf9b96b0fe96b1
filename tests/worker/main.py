"""What a worker process of the tests is started with: `celery -A tests.worker.main worker`."""

import ctypes
import json
import os
import signal
import sys

from tests.worker.apps import make_app

if sys.platform == "linux":
    # However the tests end, their workers end with them.
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

app = make_app(**json.loads(os.environ["TEST_WORKER"]))
app.set_default()
