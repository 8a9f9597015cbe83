"""The app as Django knows it."""

from django.apps import AppConfig


class NoticesConfig(AppConfig):
    """What people are told, in the notice centre and by e-mail."""

    name = "stemma_portal.notices"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what happens to people's ways of signing in."""
        from stemma_portal.notices import security  # noqa: F401 - it connects itself
