from django.db import migrations, models


class Migration(migrations.Migration):
    """Who has no account can be asked by mail."""

    dependencies = [("catalog", "0006_prints")]

    operations = [
        migrations.AddField(
            model_name="sharequestion",
            name="email",
            field=models.EmailField(blank=True, db_default="", max_length=254),
        ),
    ]
