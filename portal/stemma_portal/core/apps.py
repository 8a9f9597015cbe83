"""The app as Django knows it."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """What every app builds on: the transparency log, jobs, the audit trail, storage."""

    name = "stemma_portal.core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks."""
        from stemma_portal.core import checks  # noqa: F401 - registers itself
