"""Facts are never changed."""

from django.db import migrations

from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    """The database refuses to change or remove what facts have told."""

    dependencies = [("metering", "0001_initial")]
    operations = [
        append_only("metering_generation"),
        append_only("metering_attribution"),
        append_only("metering_generationshare"),
        append_only("metering_factconflict"),
    ]
