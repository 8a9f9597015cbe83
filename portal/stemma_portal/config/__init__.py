"""How the portal is put together: settings, addresses, the servers' entry points."""

from stemma_portal.config.celery import app as celery_app

__all__ = ["celery_app"]
