from django.db import migrations, models


class Migration(migrations.Migration):
    """How many granted recordings a snapshot leaves out because its kind of model cannot learn from them."""

    dependencies = [("operations", "0005_weights_downloads")]

    operations = [
        migrations.AddField("snapshot", "unreadable", models.PositiveIntegerField(db_default=0, default=0)),
    ]
