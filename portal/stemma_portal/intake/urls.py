"""Addresses of the pages for bringing a catalog in."""

from django.urls import path

from stemma_portal.intake import views

app_name = "intake"
urlpatterns = [
    path("imports/", views.import_list, name="imports"),
    path("imports/template.csv", views.import_template, name="template"),
    path("imports/<id:import_id>/", views.import_detail, name="import"),
    path("imports/<id:import_id>/columns/", views.import_columns, name="columns"),
    path("imports/<id:import_id>/action/", views.import_act, name="act"),
    path("imports/<id:import_id>/to-correct.csv", views.import_corrections, name="corrections"),
]
