"""The WSGI application: `granian --interface wsgi stemma_portal.config.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stemma_portal.config.settings")

application = get_wsgi_application()
