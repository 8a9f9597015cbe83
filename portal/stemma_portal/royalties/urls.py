"""Addresses of the pages about money."""

from django.urls import path

from stemma_portal.royalties import money_views, views

app_name = "royalties"
urlpatterns = [
    path("royalties/", views.royalties, name="royalties"),
    path("royalties/payment/", money_views.payment, name="payment"),
    path("royalties/payment/change/", money_views.payment_change, name="payment_change"),
    path(
        "royalties/statements/<id:statement_id>/recordings/<id:recording_id>/correction/",
        money_views.correction,
        name="correction",
    ),
    path("royalties/parties/<id:party_id>/", views.party_detail, name="party"),
    path("royalties/parties/<id:party_id>/traced/", money_views.traced, name="traced"),
    path("royalties/parties/<id:party_id>/traced.csv", money_views.traced_file, name="traced_csv"),
    path("royalties/periods/<str:period_id>/", views.period_detail, name="period"),
    path("royalties/periods/<str:period_id>/closing/", views.period_close, name="period_close"),
    path("royalties/statements/<id:statement_id>/", views.statement_detail, name="statement"),
    path("royalties/statements/<id:statement_id>.csv", views.statement_file, {"kind": "csv"}, name="statement_csv"),
    path("royalties/statements/<id:statement_id>.pdf", views.statement_file, {"kind": "pdf"}, name="statement_pdf"),
]
