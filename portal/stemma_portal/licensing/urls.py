"""Addresses of the pages about licenses and API keys."""

from django.urls import path

from stemma_portal.licensing import views

app_name = "licensing"
urlpatterns = [
    path("license/", views.license_list, name="licenses"),
    path("license/<id:license_id>/", views.license_detail, name="license"),
    path("license/<id:license_id>/keys/", views.key_create, name="key_create"),
    path("license/<id:license_id>/keys/<id:key_id>/revocation/", views.key_revoke, name="key_revoke"),
]
