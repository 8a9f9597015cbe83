"""The app as Django knows it."""

from django.apps import AppConfig


class ConsentConfig(AppConfig):
    """Grants, withdrawals and claims: what owners allow and what stands against it."""

    name = "stemma_portal.consent"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """A disputed share opens a claim."""
        from stemma_portal.catalog.sharing import disputes
        from stemma_portal.consent.services import share_disputed

        if share_disputed not in disputes:
            disputes.append(share_disputed)
