"""Addresses of the pages about organisations."""

from django.urls import path

from stemma_portal.accounts import views

app_name = "accounts"
urlpatterns = [path("organisation/", views.organisation_switch, name="organisation")]
