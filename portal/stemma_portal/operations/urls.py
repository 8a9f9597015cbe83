"""Addresses of the pages about snapshots and model releases."""

from django.urls import path

from stemma_portal.operations import views

app_name = "operations"
urlpatterns = [
    path("snapshots/", views.snapshot_list, name="snapshots"),
    path("snapshots/<id:snapshot_id>/", views.snapshot_detail, name="snapshot"),
    path("catalog/<id:recording_id>/carried/", views.recording_carried, name="absences"),
    path("catalog/<id:recording_id>/absence/<id:snapshot_id>.json", views.recording_absence, name="absence"),
    path("training/", views.training_list, name="training"),
    path("training/<slug:job>/cancel/", views.training_end, name="training-cancel"),
    path("models/", views.release_list, name="releases"),
    path("models/downloads/", views.download_list, name="downloads"),
    path("models/<slug:name>/<str:version>/", views.release_detail, name="release"),
    path("models/<slug:name>/<str:version>/download/", views.release_download, name="download"),
    path("models/<slug:name>/<str:version>/SHA256SUMS", views.release_checksums, name="checksums"),
]
