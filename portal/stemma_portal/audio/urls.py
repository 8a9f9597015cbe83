"""Addresses of the pages for sounds and scores."""

from django.urls import path

from stemma_portal.audio import views

app_name = "audio"
urlpatterns = [
    path("audio/", views.upload_list, name="uploads"),
    path("audio/tags/", views.from_tags, name="from_tags"),
    path("audio/<id:upload_id>/", views.upload_detail, name="upload"),
    path("audio/<id:upload_id>/action/", views.upload_act, name="act"),
]
