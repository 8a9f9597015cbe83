"""Addresses of the pages about money."""

from django.urls import path, re_path

from stemma_portal.royalties import views

app_name = "royalties"
urlpatterns = [
    path("royalties/", views.royalties, name="royalties"),
    path("royalties/parties/<uuid:party_id>/", views.party_detail, name="party"),
    path("royalties/periods/<str:period_id>/", views.period_detail, name="period"),
    path("royalties/periods/<str:period_id>/closing/", views.period_close, name="period_close"),
    path("royalties/statements/<uuid:statement_id>/", views.statement_detail, name="statement"),
    re_path(
        r"^royalties/statements/(?P<statement_id>[0-9a-f-]{36})\.(?P<kind>csv|pdf)$",
        views.statement_file,
        name="statement_file",
    ),
]
