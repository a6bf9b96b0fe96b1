"""Orders are made in the transaction of a request, and so are their jobs."""

from django.contrib.auth.decorators import login_required
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from shop.celery import jobs
from shop.models import Order
from shop.tasks import print_order

MOST = 1000


@login_required
@require_POST
def order(request: HttpRequest) -> HttpResponse:
    """Take an order: with ATOMIC_REQUESTS, it and its job are there, or neither is."""
    placed = Order.objects.create(user=request.user, copies=int(request.POST["copies"]))
    job = print_order.enqueue(placed.pk, user_id=request.user.pk, connection=connection)
    placed.job_id = job.id
    placed.save()
    if placed.copies > MOST:
        raise ValueError("So many copies are a mistake.")  # and nothing was ordered
    return redirect("orders")


@login_required
@require_GET
def orders(request: HttpRequest) -> HttpResponse:
    """Show the jobs of this user."""
    page = jobs.service.list_jobs(request.user.pk)
    return render(request, "shop/orders.html", {"jobs": page.items})
