import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Recordings are compared by sketches of their sound and score."""

    dependencies = [("catalog", "0005_share_questions")]

    operations = [
        migrations.CreateModel(
            name="Print",
            fields=[
                (
                    "recording",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="print",
                        serialize=False,
                        to="catalog.recording",
                    ),
                ),
                ("fingerprint", models.BinaryField(blank=True, null=True)),
                (
                    "sound",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), default=list, size=None
                    ),
                ),
                ("midi_sha256", models.CharField(blank=True, max_length=64)),
                (
                    "score",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), default=list, size=None
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="print",
            index=django.contrib.postgres.indexes.GinIndex(fields=["sound"], name="print_sound"),
        ),
        migrations.AddIndex(
            model_name="print",
            index=django.contrib.postgres.indexes.GinIndex(fields=["score"], name="print_score"),
        ),
    ]
