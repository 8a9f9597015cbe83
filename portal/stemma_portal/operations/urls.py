"""Addresses of the pages about operations."""

from django.urls import URLPattern

app_name = "operations"
urlpatterns: list[URLPattern] = []
