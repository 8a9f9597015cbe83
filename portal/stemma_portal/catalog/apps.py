"""The app as Django knows it."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Works, recordings, the parties who own them, and their shares."""

    name = "stemma_portal.catalog"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen for organisations that sign up."""
        from stemma_portal.catalog import joining  # noqa: F401 - its receivers
