"""The app as Django knows it."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Works, recordings, the parties who own them, and their shares."""

    name = "stemma_portal.catalog"
    default_auto_field = "django.db.models.BigAutoField"
