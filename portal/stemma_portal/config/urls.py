"""Addresses of the portal: the API, what is well known, health, sign-in, and the pages of each app."""

from django.urls import include, path

from stemma_portal.accounts.views import SignupView, saml_finish
from stemma_portal.api.api import api
from stemma_portal.api.wellknown import healthz, jwks, livez, nothing, readyz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
    path(".well-known/jwks.json", jwks, name="jwks"),
    path("api/v1/", api.urls),
    path("api/<path:rest>", nothing),
    path("accounts/signup/", SignupView.as_view(), name="account_signup"),
    path("accounts/saml/<slug:organization_slug>/acs/finish/", saml_finish, name="saml_finish_acs"),
    path("accounts/", include("allauth.urls")),
    path("", include("stemma_portal.dashboards.urls")),
    path("", include("stemma_portal.accounts.urls")),
    path("", include("stemma_portal.notices.urls")),
    path("", include("stemma_portal.webhooks.urls")),
    path("", include("stemma_portal.catalog.urls")),
    path("", include("stemma_portal.consent.urls")),
    path("", include("stemma_portal.intake.urls")),
    path("", include("stemma_portal.audio.urls")),
    path("", include("stemma_portal.licensing.urls")),
    path("", include("stemma_portal.metering.urls")),
    path("", include("stemma_portal.billing.urls")),
    path("", include("stemma_portal.operations.urls")),
    path("", include("stemma_portal.royalties.urls")),
    path("", include("stemma_portal.indemnity.urls")),
    path("", include("stemma_portal.certificates.urls")),
]
