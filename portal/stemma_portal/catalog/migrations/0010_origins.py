from django.db import migrations, models


class Migration(migrations.Migration):
    """Where and when a work has its origin, as codes."""

    dependencies = [("catalog", "0009_custody")]

    operations = [
        migrations.AddField(
            model_name="work",
            name="period",
            field=models.CharField(blank=True, db_default="", max_length=4),
        ),
        migrations.AddField(
            model_name="work",
            name="region_code",
            field=models.CharField(blank=True, db_default="", max_length=6),
        ),
    ]
