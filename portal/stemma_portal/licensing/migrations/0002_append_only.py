from django.db import migrations

from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    dependencies = [("licensing", "0001_initial")]
    operations = [
        append_only("licensing_covenantversion"),
    ]
