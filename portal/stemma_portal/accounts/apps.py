"""The app as Django knows it."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who signs in, for which organisation, with which role or token."""

    name = "stemma_portal.accounts"
    default_auto_field = "django.db.models.BigAutoField"
