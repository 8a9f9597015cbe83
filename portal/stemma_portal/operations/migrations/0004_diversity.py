from django.db import migrations, models

from stemma_portal.core.db import freeze


class Migration(migrations.Migration):
    """What is said beside a snapshot when it is taken, and never changed."""

    dependencies = [("operations", "0003_snapshot_family")]

    operations = [
        migrations.AddField("snapshot", "diversity", models.JSONField(blank=True, null=True)),
        migrations.AddField(
            "snapshot", "facts_sha256", models.CharField(blank=True, db_default="", max_length=64)
        ),
        freeze("operations_snapshot", "diversity", "facts_sha256"),
    ]
