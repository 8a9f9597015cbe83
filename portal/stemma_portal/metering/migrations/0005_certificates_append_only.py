"""Certificates are never changed."""

from django.db import migrations

from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    """The database refuses to change or remove a certificate."""

    dependencies = [("metering", "0004_certificates")]
    operations = [append_only("metering_certificate")]
