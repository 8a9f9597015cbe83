"""The app as Django knows it."""

from django.apps import AppConfig


class DashboardsConfig(AppConfig):
    """The pages that bring the other apps together."""

    name = "stemma_portal.dashboards"
    default_auto_field = "django.db.models.BigAutoField"
