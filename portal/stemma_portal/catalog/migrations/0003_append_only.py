from django.db import migrations

from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    dependencies = [("catalog", "0002_catalogs_from_outside")]
    operations = [
        append_only("catalog_recordingversion"),
        append_only("catalog_sharerevision"),
        append_only("catalog_shareconfirmation"),
    ]
