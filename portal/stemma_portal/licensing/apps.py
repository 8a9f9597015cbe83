"""The app as Django knows it."""

from django.apps import AppConfig


class LicensingConfig(AppConfig):
    """Covenant versions, licenses and API keys, and the documents serving trusts."""

    name = "stemma_portal.licensing"
    default_auto_field = "django.db.models.BigAutoField"
