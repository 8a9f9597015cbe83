"""Addresses of the pages about licenses and API keys."""

from django.urls import path

from stemma_portal.licensing import views

app_name = "licensing"
urlpatterns = [
    path("license/", views.license_list, name="licenses"),
    path("license/<id:license_id>/", views.license_detail, name="license"),
    path("license/<id:license_id>/keys/", views.key_create, name="key_create"),
    path("license/<id:license_id>/keys/<id:key_id>/revocation/", views.key_revoke, name="key_revoke"),
    path("license/<id:license_id>/keys/<id:key_id>/rotation/", views.key_rotate, name="key_rotate"),
    path("license/<id:license_id>/files/", views.file_issue, name="file_issue"),
    path("license/<id:license_id>/files/<id:file_id>.license", views.file_show, name="file"),
    path("license/<id:license_id>/receipts/", views.receipts_bring, name="receipts"),
]
