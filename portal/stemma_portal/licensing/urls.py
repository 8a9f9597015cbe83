"""Addresses of the pages about license terms, licenses and API keys."""

from django.urls import path

from stemma_portal.licensing import covenant_views, seat_views, views

app_name = "licensing"
urlpatterns = [
    path("covenants/", covenant_views.covenant_list, name="covenants"),
    path("covenants/compare/", covenant_views.covenant_compare, name="compare"),
    path("covenants/<str:digest>/", covenant_views.covenant_detail, name="covenant"),
    path("covenants/<str:digest>.json", covenant_views.covenant_file, {"form": "json"}, name="covenant_json"),
    path("covenants/<str:digest>.pdf", covenant_views.covenant_file, {"form": "pdf"}, name="covenant_pdf"),
    path("tiers/", covenant_views.tiers, name="tiers"),
    path("license/", views.license_list, name="licenses"),
    path("license/<id:license_id>/", views.license_detail, name="license"),
    path("license/<id:license_id>/covenant/", covenant_views.license_accept, name="accept"),
    path("license/<id:license_id>/acceptances/<id:acceptance_id>.json", covenant_views.acceptance, name="acceptance"),
    path("license/<id:license_id>/keys/", views.key_create, name="key_create"),
    path("license/<id:license_id>/keys/<id:key_id>/revocation/", views.key_revoke, name="key_revoke"),
    path("license/<id:license_id>/keys/<id:key_id>/rotation/", views.key_rotate, name="key_rotate"),
    path("license/<id:license_id>/entitlement.jws", views.entitlement_show, name="entitlement"),
    path("license/<id:license_id>/files/", views.file_issue, name="file_issue"),
    path("license/<id:license_id>/files/<id:file_id>.license", views.file_show, name="file"),
    path("license/<id:license_id>/seats/", seat_views.seats, name="seats"),
    path("license/<id:license_id>/seats/change/", seat_views.seat_change, name="seat_change"),
    path("license/<id:license_id>/receipts/", views.receipts_bring, name="receipts"),
]
