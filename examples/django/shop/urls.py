"""Two pages."""

from django.urls import path

from shop import views

urlpatterns = [
    path("", views.orders, name="orders"),
    path("order/", views.order, name="order"),
]
