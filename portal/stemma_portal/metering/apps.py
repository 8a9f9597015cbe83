"""The app as Django knows it."""

from django.apps import AppConfig


class MeteringConfig(AppConfig):
    """Generations, as the facts in object storage tell of them."""

    name = "stemma_portal.metering"
    default_auto_field = "django.db.models.BigAutoField"
