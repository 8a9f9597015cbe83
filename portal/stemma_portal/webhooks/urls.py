"""Addresses of the pages about webhooks."""

from django.urls import path

from stemma_portal.webhooks import views

app_name = "webhooks"
urlpatterns = [
    path("webhooks/", views.endpoint_list, name="endpoints"),
    path("webhooks/new/", views.endpoint_new, name="new"),
    path("webhooks/<id:endpoint_id>/", views.endpoint_detail, name="endpoint"),
    path("webhooks/<id:endpoint_id>/action/", views.endpoint_act, name="act"),
    path("webhooks/<id:endpoint_id>/keys/", views.endpoint_rotate, name="rotate"),
    path("webhooks/<id:endpoint_id>/<id:delivery_id>/again/", views.delivery_again, name="again"),
]
