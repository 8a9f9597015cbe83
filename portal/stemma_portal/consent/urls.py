"""Addresses of the pages about consent and claims."""

from django.urls import path

from stemma_portal.consent import views

app_name = "consent"
urlpatterns = [
    path("consent/", views.consent_list, name="consents"),
    path("consent/new/", views.consent_sign, name="grant"),
    path("consent/<id:consent_id>/", views.consent_detail, name="consent"),
    path("consent/<id:consent_id>/receipt.json", views.consent_receipt, name="receipt"),
    path("consent/<id:consent_id>/withdraw/", views.consent_end, name="withdraw"),
    path("claims/", views.claim_list, name="claims"),
    path("claims/<id:claim_id>/resolution/", views.claim_end, name="resolve"),
]
