"""The app as Django knows it."""

from django.apps import AppConfig


class RoyaltiesConfig(AppConfig):
    """The ledger, periods and statements."""

    name = "stemma_portal.royalties"
    default_auto_field = "django.db.models.BigAutoField"
