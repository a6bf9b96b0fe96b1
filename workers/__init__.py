"""The Celery app of the example, and its settings."""
