"""Addresses of the pages about organisations and their people."""

from django.urls import path

from stemma_portal.accounts import views

app_name = "accounts"
urlpatterns = [
    path("organisation/", views.organisation_switch, name="organisation"),
    path("organisation/team/", views.team, name="team"),
    path("organisation/team/<id:membership_id>/", views.member_act, name="member"),
    path("organisation/invitations/<id:invitation_id>/", views.invitation_act, name="invitation_act"),
    path("organisation/sign-on/", views.sign_on_settings, name="sign_on_settings"),
    path("organisation/domains/", views.domain_act, name="domains"),
    path("organisation/trail/", views.trail, name="trail"),
    path("invitations/<str:token>/", views.invitation, name="invitation"),
    path("identities/", views.identities, name="identities"),
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/new/", views.token_new, name="token_new"),
    path("tokens/<id:token_id>/revocation/", views.token_end, name="token_end"),
    path("sign-on/", views.sign_on, name="sign_on"),
    path("sign-on/go/", views.sign_on_go, name="sign_on_go"),
]
