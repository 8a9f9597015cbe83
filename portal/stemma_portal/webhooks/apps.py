"""The app as Django knows it."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Telling an organisation's own systems what happened, by signed HTTP calls."""

    name = "stemma_portal.webhooks"
    default_auto_field = "django.db.models.BigAutoField"
