"""Addresses of the pages of certificates."""

from django.urls import path

from stemma_portal.certificates import views

app_name = "certificates"
urlpatterns = [
    path("certificates/", views.certificate_list, name="certificates"),
    path("certificates/<id:generation_id>/", views.certificate_detail, name="certificate"),
    path("certificates/<id:generation_id>.json", views.certificate_json, name="json"),
    path("certificates/<id:generation_id>.pdf", views.certificate_paper, name="pdf"),
    path("certificates/<id:generation_id>/statement/", views.statement, name="statement"),
    path("certificate/<id:generation_id>/", views.public, name="public"),
    path("certificate/<id:generation_id>.json", views.public_json, name="public_json"),
]
