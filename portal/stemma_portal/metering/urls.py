"""Addresses of the pages about generations."""

from django.urls import path

from stemma_portal.metering import views

app_name = "metering"
urlpatterns = [
    path("generations/", views.generation_list, name="generations"),
    path("generations/<id:generation_id>/", views.generation_detail, name="generation"),
    path("generations/<id:generation_id>/certificate.jws", views.generation_certificate, name="certificate"),
]
