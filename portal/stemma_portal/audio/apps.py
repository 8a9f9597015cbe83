"""The app as Django knows it."""

from django.apps import AppConfig


class AudioConfig(AppConfig):
    """Bringing sounds and scores."""

    name = "stemma_portal.audio"
    default_auto_field = "django.db.models.BigAutoField"
