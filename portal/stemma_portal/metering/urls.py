"""Addresses of the pages about generations."""

from django.urls import URLPattern

app_name = "metering"
urlpatterns: list[URLPattern] = []
