"""Addresses of the pages about organisations."""

from django.urls import URLPattern

app_name = "accounts"
urlpatterns: list[URLPattern] = []
