"""What the shop sells."""

from django.conf import settings
from django.db import models


class Order(models.Model):
    """An order of a user, and the job that exports it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    copies = models.PositiveIntegerField()
    job_id = models.UUIDField(null=True)

    def __str__(self) -> str:
        """Say what was ordered."""
        return f"{self.copies} copies"
