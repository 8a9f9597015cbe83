"""The app as Django knows it."""

from django.apps import AppConfig


class IndemnityConfig(AppConfig):
    """Claims against outputs, their dossiers and reserves."""

    name = "stemma_portal.indemnity"
    default_auto_field = "django.db.models.BigAutoField"
