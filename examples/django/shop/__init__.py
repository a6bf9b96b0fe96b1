"""A shop whose orders are exported by jobs."""

from shop.celery import app as celery_app

__all__ = ["celery_app"]
