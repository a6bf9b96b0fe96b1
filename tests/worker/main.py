"""What a worker process of the tests is started with: `celery -A tests.worker.main worker`."""

import json
import os
from datetime import timedelta

import time_machine

from tests.worker.apps import make_app
from tests.worker.nursery import end_with_parent
from tests.worker.process import CLOCK_OFF_BY

# However the tests end, their workers end with them.
end_with_parent()

if seconds := int(os.environ.get(CLOCK_OFF_BY, "0")):
    time_machine.travel(timedelta(seconds=seconds)).start()

app = make_app(**json.loads(os.environ["TEST_WORKER"]))
app.set_default()
