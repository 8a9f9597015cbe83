"""The app as Django knows it."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """The portal's HTTP API."""

    name = "stemma_portal.api"
    default_auto_field = "django.db.models.BigAutoField"
