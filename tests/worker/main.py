"""What a worker process of the tests is started with: `celery -A tests.worker.main worker`."""

import json
import os

from tests.worker.apps import make_app
from tests.worker.nursery import end_with_parent

# However the tests end, their workers end with them.
end_with_parent()

app = make_app(**json.loads(os.environ["TEST_WORKER"]))
app.set_default()
