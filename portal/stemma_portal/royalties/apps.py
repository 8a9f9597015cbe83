"""The app as Django knows it."""

from django.apps import AppConfig


class RoyaltiesConfig(AppConfig):
    """The ledger, periods and statements."""

    name = "stemma_portal.royalties"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Whoever grants learns what others have earned."""
        from stemma_portal.consent.outlook import sources
        from stemma_portal.royalties.outlook import outlook

        if outlook not in sources:
            sources.append(outlook)
