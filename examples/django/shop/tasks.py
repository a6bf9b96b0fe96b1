"""What the worker does."""

from shop.celery import app
from shop.models import Order


@app.task(bind=True, job_type="printing")
def print_order(self, order_id):
    """Print the copies of an order."""
    order = Order.objects.get(pk=order_id)
    for _copy in self.job.track(range(order.copies), message="Printing"):
        pass  # where the printer would be
    return {"printed": order.copies}
