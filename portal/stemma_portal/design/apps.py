"""Registration with Django."""

from django.apps import AppConfig
from django.urls import register_converter

from stemma_portal.design.values import IdentifierConverter


class DesignConfig(AppConfig):
    """Typefaces, template tags, pictures; the spelling of identifiers in addresses."""

    name = "stemma_portal.design"
    label = "design"

    def ready(self) -> None:
        """Addresses may say `<id:…>` from now on."""
        register_converter(IdentifierConverter, "id")
