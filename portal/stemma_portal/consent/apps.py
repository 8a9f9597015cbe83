"""The app as Django knows it."""

from django.apps import AppConfig


class ConsentConfig(AppConfig):
    """Grants, withdrawals and claims: what owners allow and what stands against it."""

    name = "stemma_portal.consent"
    default_auto_field = "django.db.models.BigAutoField"
