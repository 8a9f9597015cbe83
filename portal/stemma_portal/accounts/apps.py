"""The app as Django knows it."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who signs in, for which organisation, with which role or token."""

    name = "stemma_portal.accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Write down what happens to people's ways of signing in."""
        from stemma_portal.accounts import traces  # noqa: F401 - it connects itself
