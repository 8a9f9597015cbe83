"""Addresses of the pages about notices."""

from django.urls import path

from stemma_portal.notices import views

app_name = "notices"
urlpatterns = [
    path("notices/", views.notice_list, name="notices"),
    path("notices/read/", views.notices_mark, name="read"),
    path("notices/preferences/", views.preferences, name="preferences"),
    path("notices/off/<str:signed>/", views.off, name="off"),
    path("notices/<id:notice_id>/", views.notice_open, name="notice"),
]
