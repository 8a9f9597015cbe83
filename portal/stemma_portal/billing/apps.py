"""The app as Django knows it."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Quotes, orders, invoices and payments of licensees, and what they declare of their revenue."""

    name = "stemma_portal.billing"
    default_auto_field = "django.db.models.BigAutoField"
