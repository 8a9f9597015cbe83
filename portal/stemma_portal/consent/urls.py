"""Addresses of the pages about consent and claims."""

from django.urls import path

from stemma_portal.consent import case_views, reservation_views, views

app_name = "consent"
urlpatterns = [
    path("consent/", views.consent_list, name="consents"),
    path("consent/new/", views.consent_sign, name="grant"),
    path("consent/missing/", views.owners_asked, name="missing"),
    path("consent/<id:consent_id>/", views.consent_detail, name="consent"),
    path("consent/<id:consent_id>/receipt.json", views.consent_receipt, {"form": "json"}, name="receipt"),
    path("consent/<id:consent_id>/receipt.pdf", views.consent_receipt, {"form": "pdf"}, name="receipt_pdf"),
    path(
        "consent/<id:consent_id>/withdrawal/<id:withdrawal_id>.json",
        views.withdrawal_receipt,
        {"form": "json"},
        name="withdrawal",
    ),
    path(
        "consent/<id:consent_id>/withdrawal/<id:withdrawal_id>.pdf",
        views.withdrawal_receipt,
        {"form": "pdf"},
        name="withdrawal_pdf",
    ),
    path("consent/<id:consent_id>/withdraw/", views.consent_end, name="withdraw"),
    path("claims/", case_views.case_list, name="claims"),
    path("claims/new/", case_views.case_new, name="case_new"),
    path("claims/<id:claim_id>/", case_views.case_detail, name="case"),
    path("claims/<id:claim_id>/message/", case_views.case_message, name="case_message"),
    path("claims/<id:claim_id>/evidence/", case_views.case_evidence, name="case_evidence"),
    path("claims/<id:claim_id>/evidence/<id:evidence_id>/", case_views.case_file, name="case_file"),
    path("claims/<id:claim_id>/withdrawal/", case_views.case_withdrawal, name="case_withdraw"),
    path("claims/<id:claim_id>/review/", case_views.case_under_review, name="case_review"),
    path("claims/<id:claim_id>/deadline/", case_views.case_deadline, name="case_extend"),
    path("claims/<id:claim_id>/resolution/", case_views.case_decide, name="resolve"),
    path("catalog/<id:recording_id>/reservation/", reservation_views.recording_reserve, name="reserve"),
    path("catalog/<id:recording_id>/marked/", reservation_views.recording_marked, name="marked"),
    path("reservations/", reservation_views.reservation_list, name="reservations"),
    path("reservations/tdmrep.json", reservation_views.reservation_file, name="tdmrep"),
    path("reservations/domains/<id:domain_id>/read/", reservation_views.site_read, name="site_read"),
    path("reservations/<id:reservation_id>/settle/", reservation_views.reservation_settling, name="settle"),
]
