"""The app as Django knows it."""

from django.apps import AppConfig


class CertificatesConfig(AppConfig):
    """Certificates of outputs, for their licensees and for everybody who is shown one.  It has no tables of its own."""

    name = "stemma_portal.certificates"
    default_auto_field = "django.db.models.BigAutoField"
