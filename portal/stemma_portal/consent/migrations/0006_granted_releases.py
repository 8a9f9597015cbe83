from django.db import migrations, models


class Migration(migrations.Migration):
    """Releases that a grant names."""

    dependencies = [("consent", "0005_reservations")]

    operations = [
        migrations.AddField("consent", "releases", models.JSONField(db_default=[], default=list)),
    ]
