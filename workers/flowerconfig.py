"""What Flower shows: `celery --app workers.app flower --conf=workers/flowerconfig.py`."""

import jobstate.flower  # noqa: F401 - the import has it show jobs

# Of each task Flower keeps some kB.
max_tasks = 50_000
