"""The app as Django knows it."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Snapshots and model releases."""

    name = "stemma_portal.operations"
    default_auto_field = "django.db.models.BigAutoField"
