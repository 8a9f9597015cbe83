"""Addresses of the pages about catalog."""

from django.urls import path

from stemma_portal.catalog import custody_views

app_name = "catalog"
urlpatterns = [
    path("custody/", custody_views.custody_list, name="custodies"),
    path("custody/new/", custody_views.custody_new, name="custody_new"),
    path("custody/<id:custody_id>/", custody_views.custody_detail, name="custody"),
    path("custody/<id:custody_id>/answer/", custody_views.custody_say, name="custody_answer"),
    path("custody/<id:custody_id>/end/", custody_views.custody_over, name="custody_end"),
]
