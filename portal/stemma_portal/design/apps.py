"""Registration with Django."""

from django.apps import AppConfig


class DesignConfig(AppConfig):
    """Typefaces, template tags, pictures."""

    name = "stemma_portal.design"
    label = "design"
