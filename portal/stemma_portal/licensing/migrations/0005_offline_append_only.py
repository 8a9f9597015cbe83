from django.db import migrations

from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    dependencies = [("licensing", "0004_offline")]
    operations = [
        append_only("licensing_licensefile"),
        append_only("licensing_offlinereceipt"),
    ]
