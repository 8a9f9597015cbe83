"""The app as Django knows it."""

from django.apps import AppConfig


class IntakeConfig(AppConfig):
    """Bringing a catalog in."""

    name = "stemma_portal.intake"
    default_auto_field = "django.db.models.BigAutoField"
