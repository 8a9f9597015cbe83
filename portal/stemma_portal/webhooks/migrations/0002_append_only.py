from django.db import migrations

from stemma_portal.core.db import append_only


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_initial")]
    operations = [append_only("webhooks_event")]
